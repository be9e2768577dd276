// Uniform random numbers that depend on a key and a place alone, so that both backends and any number of threads draw
// the same.
import { bytesOf, type Case, f32, type Kernel, match, sizeOf } from "../kernel.ts";
import { elementwise } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import draws from "../parts/draws.wgsl" with { type: "text" };
import generator from "../parts/threefry.wgsl" with { type: "text" };
import { checkKey, threefry } from "../parts/threefry.ts";

const code = generator + draws + program;

/** A 64-bit key in two halves, each a whole number from 0 to 2^32 - 1, and the shape of what to draw. */
export interface UniformParams {
  readonly key0: number;
  readonly key1: number;
  readonly shape: readonly number[];
}

export const uniform: Kernel<UniformParams> = {
  name: "uniform",
  about:
    "Random numbers from 0 to 1 - 2^-24 in steps of 2^-24: element i is word i mod 2 of Threefry block floor(i / 2).",
  outputs(inputs, { key0, key1, shape }) {
    match("uniform", inputs, []);
    checkKey("uniform", key0, key1);
    return [f32(...shape)];
  },
  reference(_inputs, [y], _types, { key0, key1 }) {
    const words = new Uint32Array(2);
    for (let i = 0; i < y.length; i++) {
      threefry(key0, key1, i >> 1, 0, words, 0);
      y[i] = (words[i & 1] >>> 8) / 2 ** 24;
    }
  },
  wasm: "uniform",
  cpu(_inputs, { key0, key1, shape }) {
    return elementwise(sizeOf(shape), 4, { integers: [key0, key1] });
  },
  wgsl: [code],
  gpu(_inputs, { key0, key1, shape }, facts) {
    const blocks = Math.ceil(sizeOf(shape) / 2);
    const integers = [blocks, key0, key1];
    return { passes: [{ program: code, integers, workgroups: forEach(blocks, facts) }] };
  },
  cost(_inputs, { shape }) {
    return { flop: 0, bytes: bytesOf(f32(...shape)) };
  },
  rounding: () => 0,
  cases: [
    uniformCase("key 0", 0, 0, [16]),
    uniformCase("odd size", 1, 2, [3, 7]),
    uniformCase("one element", 0xFFFFFFFF, 0x80000000, [1]),
    uniformCase("empty", 5, 6, [0, 3]),
    uniformCase("several blocks", 0x13198A2E, 0x03707344, [3, 1001]),
  ],
};

function uniformCase(about: string, key0: number, key1: number, shape: number[]): Case<UniformParams> {
  return { about, inputs: [], params: { key0, key1, shape } };
}
