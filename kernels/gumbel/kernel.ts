// Standard Gumbel noise from the draws of `uniform`. A draw of 0, whose noise would be -infinity, counts as half a step of
// the generator.
import { bytesOf, type Case, f32, type Kernel, match, sizeOf } from "../kernel.ts";
import { elementwise } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import draws from "../parts/draws.wgsl" with { type: "text" };
import generator from "../parts/threefry.wgsl" with { type: "text" };
import { checkKey, threefry } from "../parts/threefry.ts";
import type { UniformParams } from "../uniform/kernel.ts";

const code = math + generator + draws + program;

export const gumbel: Kernel<UniformParams> = {
  name: "gumbel",
  about: "Standard Gumbel noise -log(-log u), u by the draws of `uniform` and at least 2^-25.",
  outputs(inputs, { key0, key1, shape }) {
    match("gumbel", inputs, []);
    checkKey("gumbel", key0, key1);
    return [f32(...shape)];
  },
  reference(_inputs, [y], _types, { key0, key1 }) {
    const words = new Uint32Array(2);
    for (let i = 0; i < y.length; i++) {
      threefry(key0, key1, i >> 1, 0, words, 0);
      y[i] = -Math.log(-Math.log(Math.max((words[i & 1] >>> 8) / 2 ** 24, 2 ** -25)));
    }
  },
  wasm: "gumbel",
  cpu(_inputs, { key0, key1, shape }) {
    return elementwise(sizeOf(shape), 7, { integers: [key0, key1] });
  },
  wgsl: [code],
  gpu(_inputs, { key0, key1, shape }, facts) {
    const blocks = Math.ceil(sizeOf(shape) / 2);
    const integers = [blocks, key0, key1];
    return { passes: [{ program: code, integers, workgroups: forEach(blocks, facts) }] };
  },
  cost(_inputs, { shape }) {
    return { flop: 60 * sizeOf(shape), bytes: bytesOf(f32(...shape)) };
  },
  // Two logarithms of 2 roundings each; what the inner one is off moves the outer by as much relative to 1.
  rounding: () => 8,
  cases: [
    gumbelCase("odd size", 1, 2, [3, 7]),
    gumbelCase("one element", 0xFFFFFFFF, 0x80000000, [1]),
    gumbelCase("empty", 5, 6, [0, 3]),
    gumbelCase("several blocks", 0x13198A2E, 0x03707344, [3, 1001]),
  ],
};

function gumbelCase(about: string, key0: number, key1: number, shape: number[]): Case<UniformParams> {
  return { about, inputs: [], params: { key0, key1, shape } };
}
