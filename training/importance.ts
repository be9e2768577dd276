// How evenly importance weights spread over tokens: where one weight outgrows the rest, an unbiased estimate is still a
// wild one.

/** Importance weights of one step: the largest, and the effective share of the tokens. */
export interface Importance {
  /** The largest weight; 0 without tokens. */
  readonly largest: number;
  /** (sum w)^2 / (n sum w^2) over the n tokens with a weight above 0 (Kish 1965): 1 = all equal; 1 without tokens. */
  readonly effectiveShare: number;
}

/** Summarises weights; 0 = skipped or padding. */
export function importanceOf(weight_T: Float32Array): Importance {
  let [largest, sum, squares, count] = [0, 0, 0, 0];
  for (const weight of weight_T) {
    if (weight === 0) continue;
    largest = Math.max(largest, weight);
    sum += weight;
    squares += weight * weight;
    count++;
  }
  return { largest, effectiveShare: count === 0 ? 1 : sum * sum / (count * squares) };
}
