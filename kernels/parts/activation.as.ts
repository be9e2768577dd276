// Activations of hidden units and their derivatives, by the number of the function in unary/operations.ts; 0 to 2.
import { multiplyAdd } from "./gemm.as";
import { bell4, exp4, loadFirst, normalCdf4, sigmoid4, storeFirst } from "./math.as";

const MOST: f32 = 3.4028234663852886e38;

/** x, where it multiplies what is 0 at infinity: the largest number in place of infinity, whose product would be NaN. */
// @ts-ignore: decorator
@inline
function bounded(x: v128): v128 {
  return f32x4.min(f32x4.max(x, f32x4.splat(-MOST)), f32x4.splat(MOST));
}

/** The same, of negative numbers alone. */
// @ts-ignore: decorator
@inline
export function boundedBelow(x: v128): v128 {
  return f32x4.max(x, f32x4.splat(-MOST));
}

// @ts-ignore: decorator
@inline
export function activate4(op: i32, x: v128): v128 {
  if (op == 0) return f32x4.pmax(x, f32x4.splat(0));
  if (op == 1) return f32x4.mul(boundedBelow(x), normalCdf4(x, bell4(x)));
  return f32x4.mul(boundedBelow(x), sigmoid4(x));
}

// @ts-ignore: decorator
@inline
export function slopeAt4(op: i32, x: v128): v128 {
  const one = f32x4.splat(1), zero = f32x4.splat(0);
  if (op == 0) return v128.and(f32x4.gt(x, zero), one);
  if (op == 1) {
    const bell = bell4(x);
    return geluSlope(x, bell, normalCdf4(x, bell));
  }
  // Both sigmoid(x) and sigmoid(-x) without cancelling.
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  const large = f32x4.div(one, f32x4.add(one, e)), small = f32x4.mul(e, large);
  const negative = f32x4.lt(x, zero);
  const here = v128.bitselect(small, large, negative), there = v128.bitselect(large, small, negative);
  return f32x4.mul(here, multiplyAdd(bounded(x), there, one));
}

// @ts-ignore: decorator
@inline
function geluSlope(x: v128, bell: v128, cdf: v128): v128 {
  return multiplyAdd(f32x4.mul(bounded(x), bell), f32x4.splat(0.3989422804), cdf);
}

/** Overwrites `count` inputs with their values, and puts derivatives at `slope`. */
// @ts-ignore: decorator
@inline
export function activateAndKeep(op: i32, x: usize, slope: usize, count: i32): void {
  for (; count >= 4; count -= 4, x += 16, slope += 16) {
    const here = v128.load(x);
    if (op == 1) {
      const bell = bell4(here), cdf = normalCdf4(here, bell);
      v128.store(slope, geluSlope(here, bell, cdf));
      v128.store(x, f32x4.mul(boundedBelow(here), cdf));
    } else {
      v128.store(slope, slopeAt4(op, here));
      v128.store(x, activate4(op, here));
    }
  }
  if (count > 0) {
    const here = loadFirst(x, count, f32x4.splat(1));
    storeFirst(slope, slopeAt4(op, here), count);
    storeFirst(x, activate4(op, here), count);
  }
}
