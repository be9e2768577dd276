// One counter-based splittable generator (Threefry-2x32, 20 rounds; Salmon et al. 2011, the generator of JAX).
// Streams are split by name, so a new draw in one place changes nothing in another, and nothing needs to be saved:
// a stream is a pure function of the seed and the names on the way to it.
import { threefry } from "../kernels/parts/threefry.ts";

/** A named stream of random numbers. Drawing does not change it: draws with the same arguments are the same. */
export interface Random {
  /** Two unsigned 32-bit words that identify the stream. */
  readonly key: readonly [number, number];
  /** An independent stream for each name or number. */
  split(name: string | number): Random;
  /** `count` numbers uniform in [0, 1), multiples of 2^-24. */
  uniform(count: number): Float32Array;
  /** `count` standard normal numbers (Box-Muller on pairs of uniforms). */
  normal(count: number): Float32Array;
  /** A permutation of 0..count-1 (Fisher-Yates). */
  permutation(count: number): Int32Array;
}

/** FNV-1a over UTF-8: two 32-bit words with different offsets, to fold a name into a key. */
function hashName(name: string): [number, number] {
  let a = 0x811C9DC5;
  let b = 0x050C5D1F;
  for (const byte of new TextEncoder().encode(name)) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x01000193);
  }
  return [a >>> 0, b >>> 0];
}

function stream(key0: number, key1: number): Random {
  function uniformWords(count: number): Uint32Array {
    const words = new Uint32Array(count + (count & 1));
    for (let at = 0; at < count; at += 2) threefry(key0, key1, at >>> 1, 0, words, at);
    return words;
  }
  function uniform(count: number): Float32Array {
    const words = uniformWords(count);
    const values = new Float32Array(count);
    for (let at = 0; at < count; at++) values[at] = (words[at] >>> 8) * 2 ** -24;
    return values;
  }
  return {
    key: [key0, key1],
    split(name) {
      const [a, b] = typeof name === "number"
        ? [name >>> 0, Math.floor(name / 2 ** 32) >>> 0]
        : hashName(name);
      const out = new Uint32Array(4);
      // Names and numbers go through different rounds, so split(1) and split("1") differ from each other and from draws.
      threefry(key0, key1, 0xFFFFFFFF, typeof name === "number" ? 1 : 2, out, 0);
      threefry(out[0], out[1], a, b, out, 2);
      return stream(out[2], out[3]);
    },
    uniform,
    normal(count) {
      const words = uniformWords(2 * count);
      const values = new Float32Array(count);
      for (let at = 0; at < count; at++) {
        // 1 - u lies in (0, 1], so the logarithm is finite.
        const radius = Math.sqrt(-2 * Math.log(1 - words[2 * at] * 2 ** -32));
        values[at] = radius * Math.cos(2 * Math.PI * words[2 * at + 1] * 2 ** -32);
      }
      return values;
    },
    permutation(count) {
      const words = uniformWords(count);
      const order = Int32Array.from({ length: count }, (_, at) => at);
      for (let at = count - 1; at > 0; at--) {
        const other = Math.floor(words[at] * 2 ** -32 * (at + 1));
        [order[at], order[other]] = [order[other], order[at]];
      }
      return order;
    },
  };
}

/**
 * The root stream of a seed: Threefry-2x32 with 20 rounds (Salmon et al. 2011).
 * @throws {RangeError} when `seed` is not a whole number from 0 to 2^53 - 1.
 * @example
 * ```ts
 * import { random } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const gate = random(0).split("gate");
 * assertEquals(gate.uniform(2), gate.uniform(2)); // drawing changes nothing
 * assertEquals(gate.key, random(0).split("gate").key);
 * ```
 */
export function random(seed: number): Random {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`Cannot seed random numbers with ${seed}: choose a whole number from 0 to 2^53 - 1`);
  }
  return stream(Math.floor(seed / 2 ** 32), seed >>> 0);
}
