// Gated hidden units: a SiLU of one product times another product.
import { bytesOf, f32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise, sameShape } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import { unaryOperation } from "../unary/operations.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import activation from "../parts/activation.wgsl" with { type: "text" };

const code = math + activation + program;
const { operation: silu, number: SILU } = unaryOperation("swiglu", "silu");

export const swiglu: Kernel<Record<string, never>> = {
  name: "swiglu",
  about: "y = silu(gate) x for every element.",
  outputs(inputs) {
    match("swiglu", inputs, ["f32 *", "f32 *"]);
    sameShape("swiglu", inputs);
    return [inputs[0]];
  },
  reference([gate, x], [y]) {
    for (let i = 0; i < y.length; i++) y[i] = silu.value(gate[i]) * x[i];
  },
  wasm: "swiglu",
  cpu(inputs) {
    return elementwise(elements(inputs), 1.2);
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const count = quads(elements(inputs));
    const constants = { OP: SILU };
    return { passes: [{ program: code, constants, integers: [count], workgroups: forEach(count, facts) }] };
  },
  cost(inputs) {
    return { flop: (silu.flop + 1) * elements(inputs), bytes: 3 * bytesOf(inputs[0]) };
  },
  // As `unary` has it, and a product.
  rounding: () => 9,
  gpuRounding: () => 9 + 2 * QUOTIENT,
  cases: [[7, 13], [5, 1001], [1], [0, 4]].map((shape) => ({
    about: `shape ${shape.join(" x ")}`,
    inputs: [
      { type: f32(...shape), fill: { kind: "normal", scale: 3 } as const },
      { type: f32(...shape), fill: { kind: "normal" } as const },
    ],
    params: {},
  })),
};
