// A gate that opens a unit and their derivatives, four at a time. `plain` is silu(gate) x and is known when this is compiled.
import { activate4, boundedBelow, slopeAt4 } from "./activation.as";
import { sigmoid4 } from "./math.as";

const SILU: i32 = 2;

// @ts-ignore: decorator
@inline
export function opened4(gate: v128, limit: v128, steepness: v128, plain: bool): v128 {
  if (plain) return activate4(SILU, gate);
  const held = f32x4.min(gate, limit);
  return f32x4.mul(boundedBelow(held), sigmoid4(f32x4.mul(steepness, held)));
}

/** Derivative of the above: silu'(steepness gate), and 0 above the limit. */
// @ts-ignore: decorator
@inline
export function openedSlope4(gate: v128, limit: v128, steepness: v128, plain: bool): v128 {
  if (plain) return slopeAt4(SILU, gate);
  const slope = slopeAt4(SILU, f32x4.mul(steepness, f32x4.min(gate, limit)));
  return v128.andnot(slope, f32x4.gt(gate, limit));
}

// @ts-ignore: decorator
@inline
export function shifted4(x: v128, limit: v128, shift: v128, plain: bool): v128 {
  if (plain) return x;
  return f32x4.add(f32x4.max(f32x4.min(x, limit), f32x4.neg(limit)), shift);
}

/** What is left of a gradient where the unit is clamped: nothing. */
// @ts-ignore: decorator
@inline
export function shiftedGradient4(gradient: v128, x: v128, limit: v128, plain: bool): v128 {
  if (plain) return gradient;
  return v128.andnot(gradient, f32x4.gt(f32x4.abs(x), limit));
}
