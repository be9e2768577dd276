// The same units as score_units.as.ts, for references: scores as whole numbers of at least 2^-40 of the largest.
import type { NumberArray } from "../kernel.ts";

const LARGEST = 1e30;
const ROUND = 6755399441055744;

/** Scores of a scope in units. */
export interface ScoreUnits {
  /** Whole numbers, [tokens, E] of the scope, 0 in rows that are left out. */
  readonly score: Float64Array;
  /** Units in 1. */
  readonly scale: number;
}

/** Counts the scores of rows `from` to `to` - 1 in units; rows for which `held` is false are left out. */
export function scoreUnits(
  score: NumberArray,
  { from, to, E }: { from: number; to: number; E: number },
  held: (token: number) => boolean,
): ScoreUnits {
  let lowest = Infinity;
  let highest = -Infinity;
  for (let t = from; t < to; t++) {
    if (!held(t)) continue;
    for (let e = 0; e < E; e++) {
      const value = score[t * E + e];
      if (!(Math.abs(value) <= Math.fround(LARGEST))) continue;
      lowest = Math.min(lowest, value);
      highest = Math.max(highest, value);
    }
  }
  if (lowest > highest) lowest = highest = 0;
  const span = Math.max(Math.fround(highest - lowest), 1);
  const least = Math.fround(lowest - span);
  const most = Math.fround(highest + span);
  const size = Math.max(Math.abs(least), Math.abs(most));
  let scale = 1;
  while (size * scale < 2 ** 39) scale *= 2;
  while (size * scale >= 2 ** 40) scale *= 0.5;
  const found = new Float64Array((to - from) * E);
  for (let t = from; t < to; t++) {
    if (!held(t)) continue;
    for (let e = 0; e < E; e++) {
      const value = score[t * E + e];
      const inside = value > least ? Math.min(value, most) : least;
      found[(t - from) * E + e] = inside * scale + ROUND - ROUND;
    }
  }
  return { score: found, scale };
}
