// A fixed group for each pair of whole numbers: bigrams to experts. A table would need a row for every pair.
import { bytesOf, type Case, type Fill, i32, type Kernel, match } from "../kernel.ts";
import { elementwise } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Which of the many such functions, and how many groups. */
export interface HashPairsParams {
  /** A whole number from 0 to 2^32 - 1. */
  readonly seed: number;
  readonly groups: number;
}

/** MurmurHash3 (x86, 32 bits) of two words. */
function murmur(a: number, b: number, seed: number): number {
  let hash = seed | 0;
  for (const word of [a, b]) {
    let mixed = Math.imul(word, 0xCC9E2D51);
    mixed = Math.imul(mixed << 15 | mixed >>> 17, 0x1B873593);
    hash ^= mixed;
    hash = Math.imul(hash << 13 | hash >>> 19, 5) + 0xE6546B64 | 0;
  }
  hash ^= 8; // bytes hashed
  hash = Math.imul(hash ^ hash >>> 16, 0x85EBCA6B);
  hash = Math.imul(hash ^ hash >>> 13, 0xC2B2AE35);
  return (hash ^ hash >>> 16) >>> 0;
}

export const hashPairs: Kernel<HashPairsParams> = {
  name: "hash_pairs",
  about: "y[n] = MurmurHash3 of the words a[n] and b[n], modulo the number of groups.",
  outputs(inputs, { seed, groups }) {
    const { N } = match("hash_pairs", inputs, ["i32 N", "i32 N"]);
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
      throw new RangeError(
        `Cannot run hash_pairs: seed must be a whole number from 0 to 4294967295, not ${seed}`,
      );
    }
    if (!Number.isInteger(groups) || groups < 1 || groups >= 2 ** 31) {
      throw new RangeError(`Cannot run hash_pairs: groups must be a whole number from 1, not ${groups}`);
    }
    return [i32(N)];
  },
  reference([a, b], [y], _types, { seed, groups }) {
    for (let n = 0; n < y.length; n++) y[n] = murmur(a[n], b[n], seed) % groups;
  },
  wasm: "hashPairs",
  cpu(inputs, { seed, groups }) {
    return elementwise(inputs[0].shape[0], 3, { integers: [seed, groups] });
  },
  wgsl: [program],
  gpu(inputs, { seed, groups }, facts) {
    const [N] = inputs[0].shape;
    return { passes: [{ program, integers: [N, seed, groups], workgroups: forEach(N, facts) }] };
  },
  cost(inputs) {
    return { flop: 0, bytes: bytesOf(...inputs, inputs[0]) };
  },
  rounding: () => 0,
  cases: [
    pairsCase("odd size", 37, { seed: 1, groups: 8 }),
    pairsCase("groups no power of two", 500, { seed: 0xFFFFFFFF, groups: 13 }),
    pairsCase("one group", 5, { seed: 7, groups: 1 }),
    pairsCase("one pair", 1, { seed: 0, groups: 4 }),
    pairsCase("no pairs", 0, { seed: 0, groups: 4 }),
    pairsCase("extremes", 9, { seed: 3, groups: 64 }, {
      kind: "values",
      values: [-1, 0, 2147483647, -2147483648],
    }),
    pairsCase("several blocks", 3001, { seed: 9, groups: 5 }),
  ],
};

function pairsCase(
  about: string,
  N: number,
  params: HashPairsParams,
  fill: Fill = { kind: "integers", low: -1, below: 5000 },
): Case<HashPairsParams> {
  return { about, inputs: [{ type: i32(N), fill }, { type: i32(N), fill }], params };
}
