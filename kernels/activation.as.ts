// Activations of hidden units and their derivatives, by the number of the function in unary/operations.ts; 0 to 2.
import { multiplyAdd } from "./gemm.as";
import { bell4, exp4, normalCdf4, sigmoid4 } from "./math.as";

// @ts-ignore: decorator
@inline
export function activate4(op: i32, x: v128): v128 {
  if (op == 0) return f32x4.pmax(x, f32x4.splat(0));
  if (op == 1) return f32x4.mul(x, normalCdf4(x, bell4(x)));
  return f32x4.mul(x, sigmoid4(x));
}

// @ts-ignore: decorator
@inline
export function slopeAt4(op: i32, x: v128): v128 {
  const one = f32x4.splat(1), zero = f32x4.splat(0);
  if (op == 0) return v128.and(f32x4.gt(x, zero), one);
  if (op == 1) {
    const bell = bell4(x);
    return multiplyAdd(f32x4.mul(x, bell), f32x4.splat(0.3989422804), normalCdf4(x, bell));
  }
  // Both sigmoid(x) and sigmoid(-x) without cancelling.
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  const large = f32x4.div(one, f32x4.add(one, e)), small = f32x4.mul(e, large);
  const negative = f32x4.lt(x, zero);
  const here = v128.bitselect(small, large, negative), there = v128.bitselect(large, small, negative);
  return f32x4.mul(here, multiplyAdd(x, there, one));
}
