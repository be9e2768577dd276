// Gradients of `swiglu` for both of its inputs at once: they are read once, and so is the gradient of the result.
import { bytesOf, f32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise, sameShape } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import { unaryOperation } from "../unary/operations.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import activation from "../parts/activation.wgsl" with { type: "text" };

const code = math + activation + program;
const { operation: silu, number: SILU } = unaryOperation("swiglu_gradient", "silu");

export const swigluGradient: Kernel<Record<string, never>> = {
  name: "swiglu_gradient",
  about: "dgate = g x silu'(gate) and dx = g silu(gate) for every element.",
  outputs(inputs) {
    match("swiglu_gradient", inputs, ["f32 *", "f32 *", "f32 *"]);
    sameShape("swiglu_gradient", inputs);
    return [inputs[0], inputs[0]];
  },
  reference([gate, x, g], [dgate, dx]) {
    for (let i = 0; i < g.length; i++) {
      dgate[i] = g[i] * x[i] * silu.derivative(gate[i]);
      dx[i] = g[i] * silu.value(gate[i]);
    }
  },
  wasm: "swigluGradient",
  cpu(inputs) {
    return elementwise(elements(inputs), 1.8);
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const count = quads(elements(inputs));
    const constants = { OP: SILU };
    return { passes: [{ program: code, constants, integers: [count], workgroups: forEach(count, facts) }] };
  },
  cost(inputs) {
    return { flop: (2 * silu.flop + 3) * elements(inputs), bytes: 5 * bytesOf(inputs[0]) };
  },
  // As `unary` and `unary_gradient` have it, and a product.
  rounding: () => 11,
  gpuRounding: () => 11 + 2 * QUOTIENT,
  cases: [[7, 13], [5, 1001], [1], [0, 4]].map((shape) => ({
    about: `shape ${shape.join(" x ")}`,
    inputs: [
      { type: f32(...shape), fill: { kind: "normal", scale: 3 } as const },
      { type: f32(...shape), fill: { kind: "normal" } as const },
      { type: f32(...shape), fill: { kind: "normal" } as const },
    ],
    params: {},
  })),
};
