// A function applied to every element. One kernel for all functions, because they differ in one line each.
import { bytesOf, f32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise } from "../parts/elementwise.ts";
import { type UnaryOp, unaryOperation, unaryOps, type UnaryParams } from "./operations.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT, ROOT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import activation from "../parts/activation.wgsl" with { type: "text" };

const code = math + activation + program;

export type { UnaryOp, UnaryParams };

const POSITIVE = { kind: "uniform", low: 0.1, high: 4 } as const;
// Where a function may leave its range: signed zero, infinities, NaN, subnormal and large numbers.
const SPECIAL = [0, -0, Infinity, -Infinity, NaN, 1e-40, -1e-40, 100, -100, 1, -1];

function positive(op: UnaryOp): boolean {
  return op === "log" || op === "sqrt" || op === "reciprocal";
}

export const unary: Kernel<UnaryParams> = {
  name: "unary",
  about: "y = op(x) for every element of x.",
  outputs(inputs, params) {
    match("unary", inputs, ["f32 *"]);
    unaryOperation("unary", params.op);
    return [inputs[0]];
  },
  reference([x], [y], _types, params) {
    const { operation } = unaryOperation("unary", params.op);
    for (let i = 0; i < y.length; i++) y[i] = operation.value(x[i]);
  },
  wasm: "unary",
  cpu(inputs, params) {
    const { operation, number } = unaryOperation("unary", params.op);
    return elementwise(elements(inputs), 0.2 + operation.flop / 30, { integers: [number] });
  },
  wgsl: [code],
  gpu(inputs, { op }, facts) {
    const count = quads(elements(inputs));
    const constants = { OP: unaryOperation("unary", op).number };
    return {
      passes: [{ program: code, constants, integers: [count], workgroups: forEach(count, facts) }],
    };
  },
  cost(inputs, params) {
    const { operation } = unaryOperation("unary", params.op);
    return { flop: operation.flop * elements(inputs), bytes: 2 * bytesOf(inputs[0]) };
  },
  // No function is further than 4 ulp (8 epsilons) from the truth; gelu's polynomial and bell add a few.
  rounding: (_inputs, params) => params.op === "gelu" ? 12 : 8,
  // No value takes more than one root or quotient; what a quotient is off counts twice in gelu's tail.
  gpuRounding: (inputs, params) => unary.rounding(inputs, params) + Math.max(ROOT, 2 * QUOTIENT),
  cases: [
    ...unaryOps.map((op) => ({
      about: `${op}, odd size`,
      inputs: [{ type: f32(7, 13), fill: positive(op) ? POSITIVE : { kind: "normal", scale: 3 } as const }],
      params: { op },
    })),
    ...unaryOps.map((op) => ({
      about: `${op}, special values`,
      inputs: [{ type: f32(11), fill: { kind: "values", values: SPECIAL } as const }],
      params: { op },
    })),
    { about: "empty", inputs: [{ type: f32(0, 4), fill: POSITIVE }], params: { op: "gelu" } },
    { about: "one element", inputs: [{ type: f32(1), fill: POSITIVE }], params: { op: "gelu" } },
    { about: "several blocks", inputs: [{ type: f32(5, 1001), fill: POSITIVE }], params: { op: "silu" } },
    {
      about: "exp, down to subnormal numbers",
      inputs: [{ type: f32(2050), fill: { kind: "uniform", low: -105, high: 0 } }],
      params: { op: "exp" },
    },
    {
      about: "gelu, both tails",
      inputs: [{ type: f32(2050), fill: { kind: "uniform", low: -16, high: 16 } }],
      params: { op: "gelu" },
    },
  ],
};
