// What pack_half packed, as 32-bit floats again: exact.
import { bytesOf, type Case, f32, i32, type Kernel, match, shapeText, sizeOf } from "../kernel.ts";
import { elementwise } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

interface UnpackParams {
  /** Of what was packed. */
  readonly shape: readonly number[];
}

export const unpackHalf: Kernel<UnpackParams> = {
  name: "unpack_half",
  about: "16-bit floats, two in each word, the first low, as 32-bit floats of a shape.",
  outputs(inputs, { shape }) {
    match("unpack_half", inputs, ["i32 W"]);
    const words = Math.ceil(sizeOf(shape) / 2);
    if (inputs[0].shape[0] !== words) {
      throw new RangeError(
        `Cannot run unpack_half: shape ${shapeText(shape)} takes ${words} words, not ${inputs[0].shape[0]}`,
      );
    }
    return [f32(...shape)];
  },
  reference([word], [y]) {
    const bytes = new DataView(new ArrayBuffer(4));
    for (let at = 0; at < y.length; at++) {
      bytes.setInt32(0, word[at >> 1], true);
      y[at] = bytes.getFloat16(at % 2 * 2, true);
    }
  },
  wasm: "unpackHalf",
  cpu(_inputs, { shape }) {
    return elementwise(sizeOf(shape), 0.5);
  },
  wgsl: [program],
  gpu(_inputs, { shape }, facts) {
    const size = sizeOf(shape);
    return { passes: [{ program, integers: [quads(size)], workgroups: forEach(quads(size), facts) }] };
  },
  cost([words], { shape }) {
    return { flop: sizeOf(shape), bytes: bytesOf(words, f32(...shape)) };
  },
  rounding: () => 0,
  cases: [
    unpacked("odd size", [3, 7]),
    unpacked("one element", [1]),
    unpacked("empty", [0, 4]),
    unpacked("several blocks, seven elements left", [5, 1003]),
    {
      about: "largest, smallest, subnormal numbers, infinity, zeros",
      inputs: [{ type: i32(3), fill: { kind: "values", values: [0x7BFF0400, 0x000103FF, -2147451904] } }],
      params: { shape: [6] },
    },
  ],
};

/** Words whose halves are finite: neither has all bits of its exponent set. */
function unpacked(about: string, shape: readonly number[]): Case<UnpackParams> {
  const words = Math.ceil(sizeOf(shape) / 2);
  const values = Array.from({ length: words }, (_, at) => Math.imul(at + 1, 0x9E3779B1) & 0xBBFFBBFF);
  return {
    about,
    inputs: [{ type: i32(words), fill: { kind: "values", values: values.map((value) => value | 0) } }],
    params: { shape },
  };
}
