// Whole numbers as floats: exact up to 2^24, rounded to the nearest beyond.
import { bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

export const toFloat: Kernel<Record<string, never>> = {
  name: "to_float",
  about: "Whole numbers as 32-bit floats.",
  outputs(inputs) {
    match("to_float", inputs, ["i32 *"]);
    return [f32(...inputs[0].shape)];
  },
  reference([x], [y]) {
    for (let i = 0; i < y.length; i++) y[i] = Math.fround(x[i]);
  },
  wasm: "toFloat",
  cpu(inputs) {
    return elementwise(elements(inputs), 0.3);
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const count = quads(elements(inputs));
    return { passes: [{ program, integers: [count], workgroups: forEach(count, facts) }] };
  },
  cost(inputs) {
    return { flop: elements(inputs), bytes: 2 * bytesOf(inputs[0]) };
  },
  rounding: () => 0,
  cases: [
    toFloatCase("odd size", [3, 7], -100, 100),
    toFloatCase("one element", [1], -100, 100),
    toFloatCase("empty", [0], 0, 1),
    toFloatCase("several blocks, the whole range", [3001], -(2 ** 31), 2 ** 31),
  ],
};

function toFloatCase(
  about: string,
  shape: number[],
  low: number,
  below: number,
): Case<Record<string, never>> {
  return { about, inputs: [{ type: i32(...shape), fill: { kind: "integers", low, below } }], params: {} };
}
