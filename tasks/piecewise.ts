// Functions in linear pieces, by name. Those of one variable are the ones on which estimators of Kool et al. were tried;
// those of two are for pictures: pieces that linear gates can tell apart (quadrants) and pieces that they cannot.

/** A function on [0, 1) or its square: in each piece, coefficients times [1, x]. */
export interface PiecewiseLinear {
  readonly variables: 1 | 2;
  readonly pieces: readonly (readonly number[])[];
  pieceOf(place: readonly number[]): number;
}

/** Pieces of one variable that end at `ends`; the last goes on to 1. */
function line(ends: readonly number[], pieces: readonly (readonly number[])[]): PiecewiseLinear {
  return { variables: 1, pieces, pieceOf: ([x]) => ends.filter((end) => x >= end).length };
}

const two = [[-0.2, 0.8], [2, -2]];
const four = [[0, 2], [2, -2], [-1.8, 2], [1.2, -1.2]];

/** Name of a function. */
export type PiecewiseName = "two" | "skew" | "four" | "four-skew" | "quadrants" | "checker" | "disc";

/** The functions there are. */
export const piecewiseLinear: Readonly<Record<PiecewiseName, PiecewiseLinear>> = {
  /** Two equal pieces. */
  "two": line([0.5], two),
  /** The first has a quarter of the points: balance itself is wrong. */
  "skew": line([0.25], two),
  "four": line([0.25, 0.5, 0.75], four),
  "four-skew": line([0.4, 0.6, 0.9], four),
  "quadrants": {
    variables: 2,
    pieces: [[0, 2, -2], [3, -2, -2], [-2, 2, 2], [0, -2, 2]],
    pieceOf: ([x, y]) => Number(x >= 0.5) + 2 * Number(y >= 0.5),
  },
  /** Two pieces, each of two squares that touch in a corner. */
  "checker": {
    variables: 2,
    pieces: [[0, 1, 1], [1, -1, -1]],
    pieceOf: ([x, y]) => Number((x >= 0.5) !== (y >= 0.5)),
  },
  /** Inside and outside of a circle that holds 38 % of the square. */
  "disc": {
    variables: 2,
    pieces: [[0, 1, -1], [1, -1, 1]],
    pieceOf: ([x, y]) => Number((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.35 ** 2),
  },
};
