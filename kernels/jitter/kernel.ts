// Noise that values are multiplied with, drawn and applied at once. It is an output too: the gradient is multiplied by it.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import draws from "../parts/draws.wgsl" with { type: "text" };
import generator from "../parts/threefry.wgsl" with { type: "text" };
import { checkKey, threefry } from "../parts/threefry.ts";

const code = generator + draws + program;

/** A key as in `uniform`, and how far from 1 noise may be. */
export interface JitterParams {
  readonly key0: number;
  readonly key1: number;
  readonly epsilon: number;
}

export const jitter: Kernel<JitterParams> = {
  name: "jitter",
  about: "y = x n and n, where n is uniform in [1 - epsilon, 1 + epsilon), by the draws of `uniform`.",
  outputs(inputs, { key0, key1, epsilon }) {
    match("jitter", inputs, ["f32 *"]);
    checkKey("jitter", key0, key1);
    if (!(epsilon >= 0 && epsilon <= 1)) {
      throw new RangeError(`Cannot run jitter: epsilon is ${epsilon}, it must be from 0 to 1`);
    }
    return [inputs[0], inputs[0]];
  },
  reference([x], [y, noise], _types, { key0, key1, epsilon }) {
    const words = new Uint32Array(2);
    for (let i = 0; i < x.length; i++) {
      threefry(key0, key1, i >> 1, 0, words, 0);
      noise[i] = 1 - epsilon + 2 * epsilon * (words[i & 1] >>> 8) / 2 ** 24;
      y[i] = x[i] * noise[i];
    }
  },
  wasm: "jitter",
  cpu(inputs, { key0, key1, epsilon }) {
    const floats = [2 * epsilon, 1 - epsilon];
    return elementwise(elements(inputs), 4.5, { integers: [key0, key1], floats });
  },
  wgsl: [code],
  gpu(inputs, { key0, key1, epsilon }, facts) {
    const blocks = Math.ceil(elements(inputs) / 2);
    return {
      passes: [{
        program: code,
        integers: [blocks, key0, key1],
        floats: [2 * epsilon, 1 - epsilon],
        workgroups: forEach(blocks, facts),
      }],
    };
  },
  cost(inputs) {
    return { flop: 3 * elements(inputs), bytes: 3 * bytesOf(...inputs) };
  },
  // Both constants, the noise (a product and a sum) and its product with x.
  rounding: () => 5,
  cases: [
    jitterCase("odd size", 1, 2, [3, 7], 0.01),
    jitterCase("several blocks", 0x13198A2E, 0x03707344, [3, 1001], 0.5),
    jitterCase("no noise", 1, 2, [5], 0),
    jitterCase("one element", 0xFFFFFFFF, 0x80000000, [1], 1),
    jitterCase("empty", 5, 6, [0, 3], 0.25),
  ],
};

function jitterCase(
  about: string,
  key0: number,
  key1: number,
  shape: number[],
  epsilon: number,
): Case<JitterParams> {
  return {
    about,
    inputs: [{ type: f32(...shape), fill: { kind: "normal" } }],
    params: { key0, key1, epsilon },
  };
}
