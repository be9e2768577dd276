// Four pairs (gate, unit) in two vectors, and the same as four gates and four units.
import { loadFirst, storeFirst } from "./math.as";

// @ts-ignore: decorator
@inline
export function gates(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 2, 4, 6);
}

// @ts-ignore: decorator
@inline
export function units(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 1, 3, 5, 7);
}

/** The first two of `count` pairs (1 to 3); lanes after them hold 1. */
// @ts-ignore: decorator
@inline
export function loadPairs(at: usize, count: i32): v128 {
  return count > 1 ? v128.load(at) : loadFirst(at, 2, f32x4.splat(1));
}

/** The third of `count` pairs; lanes after it hold 1. */
// @ts-ignore: decorator
@inline
export function otherPairs(at: usize, count: i32): v128 {
  return count > 2 ? loadFirst(at + 16, 2, f32x4.splat(1)) : f32x4.splat(1);
}

/** Stores `count` pairs, 1 to 4. */
// @ts-ignore: decorator
@inline
export function storePairs(at: usize, gate: v128, unit: v128, count: i32): void {
  const a = v128.shuffle<f32>(gate, unit, 0, 4, 1, 5), b = v128.shuffle<f32>(gate, unit, 2, 6, 3, 7);
  if (count > 1) v128.store(at, a);
  else storeFirst(at, a, 2);
  if (count > 3) v128.store(at, b, 16);
  else if (count > 2) storeFirst(at + 16, b, 2);
}
