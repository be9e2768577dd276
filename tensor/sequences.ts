// Sequences of any lengths laid end to end as rows of one array: where each begins, and each row's place in its own. A
// value on the host that never changes; ops that need its offsets on a device upload them, B + 1 numbers.
import type { Backend } from "../kernels/kernel.ts";
import { type Tensor, tensor } from "./tensor.ts";

/** B sequences of T tokens in all, a row each. */
export interface Sequences {
  /** How many there are, those without tokens included. */
  readonly B: number;
  /** Tokens of all sequences together. */
  readonly T: number;
  /** Tokens of each. */
  readonly length_B: Int32Array;
  /** Where each begins, and at last T: [B + 1]. */
  readonly offset_B1: Int32Array;
  /** Tokens that each has before these and that are not among the rows: a cache holds what became of them. Mostly 0. */
  readonly past: number;
  /** Place of each token in its sequence, from `past` on. */
  readonly position_T: Int32Array;
  /** Tokens of the longest; 0 when there are none. */
  readonly longest: number;
  /** Pairs of a token and one that it sees, where each sees itself and all before it in its sequence. */
  readonly pairs: number;
}

/**
 * Sequences of the given lengths, laid end to end.
 * @param lengths Tokens of each, whole numbers from 0.
 * @param past Tokens of each that come before these and are not laid out.
 * @throws {RangeError} when a length or `past` is no whole number from 0.
 * @example
 * ```ts
 * import { sequencesOf } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const sequences = sequencesOf([2, 3]);
 * assertEquals([sequences.B, sequences.T, sequences.longest], [2, 5, 3]);
 * assertEquals(sequences.offset_B1, Int32Array.of(0, 2, 5));
 * assertEquals(sequences.position_T, Int32Array.of(0, 1, 0, 1, 2));
 * assertEquals(sequencesOf([2], 7).position_T, Int32Array.of(7, 8));
 * ```
 */
export function sequencesOf(lengths: ArrayLike<number>, past = 0): Sequences {
  if (!Number.isInteger(past) || past < 0) {
    throw new RangeError(`Cannot lay out sequences behind ${past} tokens: choose a whole number from 0`);
  }
  const B = lengths.length;
  const [length_B, offset_B1] = [new Int32Array(B), new Int32Array(B + 1)];
  let [longest, pairs] = [0, 0];
  for (let b = 0; b < B; b++) {
    const length = lengths[b];
    if (!Number.isInteger(length) || length < 0) {
      throw new RangeError(`Cannot lay out a sequence of ${length} tokens: choose a whole number from 0`);
    }
    length_B[b] = length;
    offset_B1[b + 1] = offset_B1[b] + length;
    longest = Math.max(longest, length);
    pairs += length * past + length * (length + 1) / 2;
  }
  const T = offset_B1[B];
  const position_T = new Int32Array(T);
  for (let b = 0; b < B; b++) {
    for (let t = offset_B1[b]; t < offset_B1[b + 1]; t++) position_T[t] = past + t - offset_B1[b];
  }
  return { B, T, length_B, offset_B1, past, position_T, longest, pairs };
}

/**
 * `B` sequences of one length.
 * @throws {RangeError} when either is no whole number from 0.
 * @example
 * ```ts
 * import { equalSequences } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(equalSequences(3, 4).offset_B1, Int32Array.of(0, 4, 8, 12));
 * ```
 */
export function equalSequences(B: number, length: number): Sequences {
  if (!Number.isInteger(B) || B < 0) {
    throw new RangeError(`Cannot lay out ${B} sequences: choose a whole number from 0`);
  }
  return sequencesOf(new Array<number>(B).fill(length));
}

/** True where no two lengths differ, so that rows [T, ...] are also an array [B, L, ...]. */
export function areEqual({ B, T, longest }: Sequences): boolean {
  return T === B * longest;
}

/**
 * Where tokens go when every sequence is given room for the longest: for each of B x longest places its token, or -1 behind
 * a sequence's end.
 */
export function paddedPlaces({ B, longest, length_B, offset_B1 }: Sequences): Int32Array {
  const token_P = new Int32Array(B * longest).fill(-1);
  for (let b = 0; b < B; b++) {
    for (let at = 0; at < length_B[b]; at++) token_P[b * longest + at] = offset_B1[b] + at;
  }
  return token_P;
}

/** The offsets on a device, i32 [B + 1]. */
export function offsetsOn(backend: Backend, { offset_B1 }: Sequences): Tensor {
  return tensor(backend, offset_B1, [offset_B1.length]);
}
