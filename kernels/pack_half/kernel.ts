// 32-bit floats kept in half the memory, two 16-bit ones in each word. Unlike arrays of f16, every backend stores words.
import { bytesOf, f32, i32, type Kernel, match, sizeOf } from "../kernel.ts";
import { elements, elementwise } from "../parts/elementwise.ts";
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
  ...[65504, 65519.99, 65520, 1e10, Infinity, 0, 2 ** -26, 1e-40],
].flatMap((value) => [value, -value]);

export const packHalf: Kernel<Record<string, never>> = {
  name: "pack_half",
  about:
    "Numbers rounded to 16-bit floats, ties to even, from 65520 on to infinity; two in each word, the first low.",
  outputs(inputs) {
    match("pack_half", inputs, ["f32 *"]);
    return [i32(Math.ceil(sizeOf(inputs[0].shape) / 2))];
  },
  reference([x], [word]) {
    const bytes = new DataView(new ArrayBuffer(4));
    for (let at = 0; at < word.length; at++) {
      bytes.setFloat16(0, x[2 * at], true);
      bytes.setFloat16(2, x[2 * at + 1] ?? 0, true);
      word[at] = bytes.getInt32(0, true);
    }
  },
  wasm: "packHalf",
  cpu(inputs) {
    return elementwise(elements(inputs), 0.5);
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const size = elements(inputs);
    return { passes: [{ program, integers: [size], workgroups: forEach(quads(size), facts) }] };
  },
  cost(inputs) {
    return { flop: elements(inputs), bytes: bytesOf(inputs[0], ...packHalf.outputs(inputs, {})) };
  },
  rounding: () => 0,
  cases: [
    { about: "odd size", inputs: [{ type: f32(3, 7), fill: { kind: "normal" } }], params: {} },
    { about: "one element", inputs: [{ type: f32(1), fill: { kind: "normal" } }], params: {} },
    { about: "empty", inputs: [{ type: f32(0, 4), fill: { kind: "normal" } }], params: {} },
    { about: "seven elements left", inputs: [{ type: f32(5, 1003), fill: { kind: "normal" } }], params: {} },
    {
      about: "several blocks, small numbers",
      inputs: [{ type: f32(4, 1001), fill: { kind: "normal", scale: 1e-5 } }],
      params: {},
    },
    {
      about: "ties, subnormal numbers, overflow",
      inputs: [{ type: f32(EDGES.length), fill: { kind: "values", values: EDGES } }],
      params: {},
    },
  ],
};
