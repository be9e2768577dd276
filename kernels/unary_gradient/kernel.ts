// Gradient of `unary`: the derivative is computed anew from x, so that nothing but x is kept for it.
import { bytesOf, f32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise, sameShape } from "../parts/elementwise.ts";
import { type UnaryOp, unaryOperation, unaryOps, type UnaryParams } from "../unary/operations.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT, ROOT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import activation from "../parts/activation.wgsl" with { type: "text" };

const code = math + activation + program;

const NORMAL = { kind: "normal" } as const;
const POSITIVE = { kind: "uniform", low: 0.1, high: 4 } as const;
const SPECIAL = { kind: "values", values: [0, -0, Infinity, -Infinity, NaN, 100, -100, 1, -1] } as const;

function positive(op: UnaryOp): boolean {
  return op === "log" || op === "sqrt" || op === "reciprocal";
}

export const unaryGradient: Kernel<UnaryParams> = {
  name: "unary_gradient",
  about: "dx = g op'(x) for every element of x.",
  outputs(inputs, params) {
    match("unary_gradient", inputs, ["f32 *", "f32 *"]);
    sameShape("unary_gradient", inputs);
    unaryOperation("unary_gradient", params.op);
    return [inputs[0]];
  },
  reference([x, g], [dx], _types, params) {
    const { operation } = unaryOperation("unary_gradient", params.op);
    for (let i = 0; i < dx.length; i++) dx[i] = g[i] * operation.derivative(x[i]);
  },
  wasm: "unaryGradient",
  cpu(inputs, params) {
    const { operation, number } = unaryOperation("unary_gradient", params.op);
    return elementwise(elements(inputs), 0.3 + operation.flop / 30, { integers: [number] });
  },
  wgsl: [code],
  gpu(inputs, { op }, facts) {
    const count = quads(elements(inputs));
    const constants = { OP: unaryOperation("unary_gradient", op).number };
    return {
      passes: [{ program: code, constants, integers: [count], workgroups: forEach(count, facts) }],
    };
  },
  cost(inputs, params) {
    const { operation } = unaryOperation("unary_gradient", params.op);
    return { flop: (operation.flop + 1) * elements(inputs), bytes: 3 * bytesOf(inputs[0]) };
  },
  // As for `unary`; gelu adds x times the bell and the product with g.
  rounding: (_inputs, params) => params.op === "gelu" ? 24 : 10,
  // No derivative takes more than a root and a quotient, or a quotient squared.
  gpuRounding: (inputs, params) => unaryGradient.rounding(inputs, params) + ROOT + 2 * QUOTIENT,
  cases: [
    ...unaryOps.map((op) => ({
      about: `${op}, odd size`,
      inputs: [
        { type: f32(7, 13), fill: positive(op) ? POSITIVE : { kind: "normal", scale: 3 } as const },
        { type: f32(7, 13), fill: NORMAL },
      ],
      params: { op },
    })),
    ...unaryOps.filter((op) => op !== "gelu" && op !== "silu").map((op) => ({
      about: `${op}, special values`,
      inputs: [{ type: f32(9), fill: SPECIAL }, { type: f32(9), fill: POSITIVE }],
      params: { op },
    })),
    {
      about: "empty",
      inputs: [{ type: f32(0, 4), fill: NORMAL }, { type: f32(0, 4), fill: NORMAL }],
      params: { op: "gelu" },
    },
    {
      about: "one element",
      inputs: [{ type: f32(1), fill: NORMAL }, { type: f32(1), fill: NORMAL }],
      params: { op: "gelu" },
    },
    {
      about: "several blocks",
      inputs: [{ type: f32(5, 1001), fill: NORMAL }, { type: f32(5, 1001), fill: NORMAL }],
      params: { op: "silu" },
    },
    ...(["gelu", "silu"] as const).map((op) => ({
      about: `${op}, both tails`,
      inputs: [
        { type: f32(2050), fill: { kind: "uniform", low: -90, high: 90 } as const },
        { type: f32(2050), fill: NORMAL },
      ],
      params: { op },
    })),
  ],
};
