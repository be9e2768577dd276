// Scores as whole numbers: what balanced assignment and its conditionals compute with. A score is counted in units of at
// least 2^-40 of the largest, so that sums along exchanges are exact in f64, equal scores stay equal, and the best
// assignment does not depend on the order in which it is found.
import { loadFirst } from "./math.as";

/** Scores beyond count as infinite; an infinite one, or NaN as the least, lies as far outside the others as they span. */
const LARGEST: f32 = 1e30;
/** Added and taken off, rounds to a whole number, halves to even. */
const ROUND: f64 = 6755399441055744;

export let least: f32 = 0;
export let most: f32 = 0;
let scale: f64 = 1;

/** Sets the unit from the rows of a scope whose expert is not -1. */
export function measure(score: usize, expert: usize, tokens: i32, E: i32): void {
  const limit = f32x4.splat(LARGEST), nothing = f32x4.splat(NaN);
  let low = f32x4.splat(Infinity), high = f32x4.splat(-Infinity);
  for (let t: usize = 0; t < <usize>tokens; t++) {
    if (load<i32>(expert + (t << 2)) < 0) continue;
    let at = score + ((t * <usize>E) << 2);
    let left = E;
    for (; left > 0; left -= 4, at += 16) {
      const v = left >= 4 ? v128.load(at) : loadFirst(at, left, nothing);
      const finite = f32x4.le(f32x4.abs(v), limit);
      low = f32x4.pmin(low, v128.bitselect(v, low, finite));
      high = f32x4.pmax(high, v128.bitselect(v, high, finite));
    }
  }
  let lowest = min(
    min(f32x4.extract_lane(low, 0), f32x4.extract_lane(low, 1)), min(f32x4.extract_lane(low, 2), f32x4.extract_lane(low, 3)),
  );
  let highest = max(
    max(f32x4.extract_lane(high, 0), f32x4.extract_lane(high, 1)), max(f32x4.extract_lane(high, 2), f32x4.extract_lane(high, 3)),
  );
  if (lowest > highest) {
    lowest = 0;
    highest = 0;
  }
  const span: f32 = max<f32>(highest - lowest, 1);
  least = lowest - span;
  most = highest + span;
  const size = max<f64>(abs<f64>(least), abs<f64>(most));
  scale = 1;
  while (size * scale < 549755813888) scale *= 2;
  while (size * scale >= 1099511627776) scale *= 0.5;
}

/** Four scores with infinities and NaN replaced. */
// @ts-ignore: decorator
@inline
export function bounded(v: v128): v128 {
  return f32x4.pmin(f32x4.pmax(f32x4.splat(least), v), f32x4.splat(most));
}

/** A score in units. */
// @ts-ignore: decorator
@inline
export function units(at: usize): f64 {
  const score = load<f32>(at);
  const inside = score > least ? (score < most ? score : most) : least;
  return <f64>inside * scale + ROUND - ROUND;
}

/** A price in units. */
// @ts-ignore: decorator
@inline
export function toUnits(price: f32): f64 {
  return <f64>price * scale + ROUND - ROUND;
}

/** Units as a score. */
// @ts-ignore: decorator
@inline
export function fromUnits(count: f64): f64 {
  return count / scale;
}
