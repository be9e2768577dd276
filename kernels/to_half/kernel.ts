// 32-bit floats as 16-bit ones: how every f16 array begins. On WebGPU alone: WebAssembly has no 16-bit floats, and
// widening them by hand would cost the CPU more than the bytes it saves.
import { bytesOf, f16, f32, type GpuFacts, type GpuPass, type Kernel, match } from "../kernel.ts";
import { elements } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import half from "../parts/half.wgsl" with { type: "text" };
import own from "./gpu.wgsl" with { type: "text" };

const program = half + own;

/** Ties, steps on both sides of them, and where the format ends: subnormal numbers, nothing left, infinity. */
const EDGES = [
  ...[1, 1.5, 2 ** -14, 1000].flatMap((base) =>
    [-1, -0.5, 0, 0.5, 1, 1.5, 2.5].map((steps) => base * (1 + steps * 2 ** -10))
  ),
  ...[0.5, 0.500001, 1, 1.5, 2.5, 1023, 1023.5].map((steps) => steps * 2 ** -24),
  ...[65504, 65519.99, 65520, 1e10, Infinity, NaN, 0, 2 ** -26, 1e-40],
].flatMap((value) => [value, -value]);

/** The pass that rounds `size` numbers, for kernels that end with it. */
export function roundingPass(size: number, facts: GpuFacts): GpuPass {
  const count = quads(size);
  return { program, integers: [count], workgroups: forEach(count, facts) };
}

export const toHalf: Kernel<Record<string, never>> = {
  name: "to_half",
  about: "32-bit floats rounded to 16-bit ones, ties to even; from 65520 on to infinity.",
  outputs(inputs) {
    match("to_half", inputs, ["f32 *"]);
    return [f16(...inputs[0].shape)];
  },
  reference([x], [h]) {
    for (let i = 0; i < h.length; i++) h[i] = Math.f16round(x[i]);
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    return { passes: [roundingPass(elements(inputs), facts)] };
  },
  cost(inputs) {
    return { flop: elements(inputs), bytes: bytesOf(inputs[0], f16(...inputs[0].shape)) };
  },
  rounding: () => 0,
  cases: [
    { about: "odd size", inputs: [{ type: f32(3, 7), fill: { kind: "normal" } }], params: {} },
    { about: "one element", inputs: [{ type: f32(1), fill: { kind: "normal" } }], params: {} },
    { about: "empty", inputs: [{ type: f32(0, 4), fill: { kind: "normal" } }], params: {} },
    {
      about: "several blocks",
      inputs: [{ type: f32(5, 1001), fill: { kind: "normal", scale: 1e-3 } }],
      params: {},
    },
    {
      about: "ties, subnormal numbers, overflow",
      inputs: [{ type: f32(EDGES.length), fill: { kind: "values", values: EDGES } }],
      params: {},
    },
  ],
};
