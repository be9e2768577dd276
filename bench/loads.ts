// Loads of experts that are the same on every machine: an exactly even one, and Zipf's, where expert e gets a share that
// falls as 1 / (e + 1)^skew (0 = even). Counts are settled first and tokens drawn after, so no load differs by chance.
import { random } from "../tensor/random.ts";

/** Skews every bench of a load goes through. */
export const skews: readonly number[] = [0, 0.5, 0.9];

/** A load to make. */
export interface Load {
  /** Tokens, experts, and experts a token goes to. */
  readonly T: number;
  readonly E: number;
  readonly K: number;
  readonly skew: number;
  /** True leaves the last expert without a token. */
  readonly emptyExpert?: boolean;
}

/** Assignments by expert: whole numbers in proportion to Zipf's shares that add up to T K. */
export function countsOf({ T, E, K, skew, emptyExpert = false }: Load): Int32Array {
  const taking = emptyExpert ? E - 1 : E;
  if (taking < K) {
    throw new RangeError(
      `Cannot send ${K} copies of a token to different experts: ${taking} of ${E} take any`,
    );
  }
  const shares = Array.from({ length: taking }, (_, e) => (e + 1) ** -skew);
  const all = shares.reduce((sum, share) => sum + share);
  const counts = new Int32Array(E);
  let [before, given] = [0, 0];
  shares.forEach((share, e) => {
    // Rounding what was given so far, not each share, leaves no remainder.
    before += share;
    const upTo = Math.round(T * K * before / all);
    counts[e] = upTo - given;
    given = upTo;
  });
  if (counts[0] > T) {
    throw new RangeError(
      `Cannot send ${
        counts[0]
      } of ${T} tokens to one expert: choose less skew than ${skew}, more experts or fewer choices`,
    );
  }
  return counts;
}

/** Expert of each assignment, laid out [T, K]: the load's counts, K different experts a token, tokens in random order. */
export function expertsOf(load: Load): Int32Array {
  const { T, K } = load;
  const inOrder = new Int32Array(T * K);
  let at = 0;
  countsOf(load).forEach((count, e) => {
    inOrder.fill(e, at, at + count);
    at += count;
  });
  // Entries T apart differ: no expert has more than T of them in a row.
  const place = random(0).split("load").permutation(T);
  return Int32Array.from({ length: T * K }, (_, n) => inOrder[n % K * T + place[Math.floor(n / K)]]);
}

/** Where each expert's rows begin when rows are sorted by expert, [E + 1]. */
export function offsetsOf(load: Load): Int32Array {
  const counts = countsOf(load);
  const offsets = new Int32Array(counts.length + 1);
  counts.forEach((count, e) => offsets[e + 1] = offsets[e] + count);
  return offsets;
}
