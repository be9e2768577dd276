// Random numbers that depend on a key and a place alone: Threefry-2x32 with 20 rounds (Salmon et al., 2011, "Parallel
// random numbers: as easy as 1, 2, 3"). A counter instead of a state is what makes them equal on any number of threads.
import { bytesOf, type Case, f32, type Kernel, match, sizeOf } from "../kernel.ts";
import { elementwise } from "../elementwise.ts";
import { forEach } from "../grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** A 64-bit key in two halves, each a whole number from 0 to 2^32 - 1, and the shape of what to draw. */
export interface UniformParams {
  readonly key0: number;
  readonly key1: number;
  readonly shape: readonly number[];
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];

/** One block: two words from two words of key and two of counter. */
export function threefry(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const key = [key0, key1, 0x1BD11BDA ^ key0 ^ key1];
  let a = counter0 + key0 | 0;
  let b = counter1 + key1 | 0;
  for (let round = 0; round < 20; round++) {
    const by = ROTATIONS[round % 8];
    a = a + b | 0;
    b = (b << by | b >>> (32 - by)) ^ a;
    if (round % 4 === 3) {
      const turn = (round + 1) / 4;
      a = a + key[turn % 3] | 0;
      b = b + key[(turn + 1) % 3] + turn | 0;
    }
  }
  return [a >>> 0, b >>> 0];
}

export const uniform: Kernel<UniformParams> = {
  name: "uniform",
  about:
    "Random numbers from 0 to 1 - 2^-24 in steps of 2^-24: element i is word i mod 2 of Threefry block floor(i / 2).",
  outputs(inputs, { key0, key1, shape }) {
    match("uniform", inputs, []);
    for (const key of [key0, key1]) {
      if (!Number.isInteger(key) || key < 0 || key >= 2 ** 32) {
        throw new RangeError(
          `Cannot run uniform: half a key must be a whole number from 0 to 4294967295, not ${key}`,
        );
      }
    }
    return [f32(...shape)];
  },
  reference(_inputs, [y], _types, { key0, key1 }) {
    for (let i = 0; i < y.length; i++) y[i] = (threefry(key0, key1, i >> 1, 0)[i & 1] >>> 8) / 2 ** 24;
  },
  wasm: "uniform",
  cpu(_inputs, { key0, key1, shape }) {
    return elementwise(sizeOf(shape), 4, { integers: [key0, key1] });
  },
  wgsl: [program],
  gpu(_inputs, { key0, key1, shape }, facts) {
    const blocks = Math.ceil(sizeOf(shape) / 2);
    return { passes: [{ program, integers: [blocks, key0, key1], workgroups: forEach(blocks, facts) }] };
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
