// How exact WGSL programs are, in roundings of 2^-24 (half a unit in the last place of a number just above 1), for
// `gpuRounding`. What WGSL promises of divisions and roots is less than correct rounding, see "Floating Point Accuracy"
// in its specification; hardware makes use of that.

/** A quotient: 2.5 units in the last place. */
export const QUOTIENT = 5;
/** A square root: one over `inverseSqrt` (2 units), and a quotient. */
export const ROOT = 9;

/** Additions a term of a row's sum goes through: in order in narrow rows; 64 sums and a tree in wide ones. */
export function additionsInRow(columns: number): number {
  return columns <= 32 ? columns : Math.ceil(columns / 64) + 6;
}
