// Standard normal noise by Box and Muller's transform of pairs of draws of `uniform`: 2 i for the radius, 2 i + 1 for the
// angle. The smallest distance of a draw from 1, 2^-24, ends the tails at 5.77.
import { bytesOf, type Case, f32, type Kernel, match, sizeOf } from "../kernel.ts";
import { ROOT } from "../parts/accuracy.ts";
import { elementwise } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import draws from "../parts/draws.wgsl" with { type: "text" };
import generator from "../parts/threefry.wgsl" with { type: "text" };
import { checkKey, threefry } from "../parts/threefry.ts";
import type { UniformParams } from "../uniform/kernel.ts";

const code = math + generator + draws + program;
/** Normal numbers whose draws a program holds at once. */
const CHUNK = 256;

export const normal: Kernel<UniformParams> = {
  name: "normal",
  about: "Standard normal noise sqrt(-2 log(1 - u[2i])) cos(2 pi u[2i+1]), u by the draws of `uniform`.",
  outputs(inputs, { key0, key1, shape }) {
    match("normal", inputs, []);
    checkKey("normal", key0, key1);
    return [f32(...shape)];
  },
  reference(_inputs, [y], _types, { key0, key1 }) {
    const words = new Uint32Array(2);
    for (let i = 0; i < y.length; i++) {
      threefry(key0, key1, i, 0, words, 0);
      const [radius, angle] = [words[0] >>> 8, words[1] >>> 8].map((word) => word / 2 ** 24);
      y[i] = Math.sqrt(-2 * Math.log(1 - radius)) * Math.cos(2 * Math.PI * angle);
    }
  },
  wasm: "normal",
  cpu(_inputs, { key0, key1, shape }) {
    return {
      ...elementwise(sizeOf(shape), 12, { integers: [key0, key1, CHUNK] }),
      scratchBytes: 8 * CHUNK,
    };
  },
  wgsl: [code],
  gpu(_inputs, { key0, key1, shape }, facts) {
    const size = sizeOf(shape);
    return { passes: [{ program: code, integers: [size, key0, key1], workgroups: forEach(size, facts) }] };
  },
  cost(_inputs, { shape }) {
    return { flop: 60 * sizeOf(shape), bytes: bytesOf(f32(...shape)) };
  },
  // The radius: of the logarithm's 2 the root halves, and its own 1. The cosine, at most 1: the angle's 1 and the
  // polynomial's 3. The product 1.
  rounding: () => 7,
  gpuRounding: () => 7 + ROOT - 1,
  cases: [
    normalCase("odd size", 1, 2, [3, 7]),
    normalCase("one element", 0xFFFFFFFF, 0x80000000, [1]),
    normalCase("empty", 5, 6, [0, 3]),
    normalCase("several blocks", 0x13198A2E, 0x03707344, [3, 1001]),
  ],
};

function normalCase(about: string, key0: number, key1: number, shape: number[]): Case<UniformParams> {
  return { about, inputs: [], params: { key0, key1, shape } };
}
