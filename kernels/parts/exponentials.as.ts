// What softmax, logsumexp and cross entropy share: a row's largest value and its sum of exponentials.
// Blocks of 1024 terms are summed in f32 and joined in f64, so a large vocabulary costs no accuracy.
import { exp4, largestLane, loadFirst, storeFirst, sumLanes } from "./math.as";

const BLOCK: i32 = 1024;

/**
 * Past this size, the sum of a shift and the logarithm of a sum keeps too little of the logarithm, and both are kept apart.
 * Below it they are one number, at most 2^-16 off.
 */
const APART: f32 = 256;

/** Stores at `at` what a row's softmax is made again from, e^((x - first) - second); `both` is their sum. */
// @ts-ignore: decorator
@inline
export function storeNormalizer(at: usize, shift: f32, logarithm: f32, both: f32): void {
  const apart = abs(both) > APART;
  store<f32>(at, apart ? shift : 0);
  store<f32>(at, apart ? logarithm : both, 4);
}

/** What to subtract before exponentiating: the largest value, or 0 where there is nothing but -infinity. */
export function shiftOf(x: usize, count: i32): f32 {
  const least = f32x4.splat(-Infinity);
  let m0 = least, m1 = least, m2 = least, m3 = least;
  for (; count >= 16; count -= 16, x += 64) {
    m0 = f32x4.pmax(m0, v128.load(x));
    m1 = f32x4.pmax(m1, v128.load(x, 16));
    m2 = f32x4.pmax(m2, v128.load(x, 32));
    m3 = f32x4.pmax(m3, v128.load(x, 48));
  }
  for (; count >= 4; count -= 4, x += 16) m0 = f32x4.pmax(m0, v128.load(x));
  if (count) m1 = f32x4.pmax(m1, loadFirst(x, count, least));
  const largest = largestLane(f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3)));
  return largest == -Infinity ? 0 : largest;
}

/** Sum of e^(x - shift). NaN in x gives NaN. */
export function sumOfExp(x: usize, count: i32, shift: f32): f32 {
  const by = f32x4.splat(shift);
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 8; left -= 8, x += 32) {
      s0 = f32x4.add(s0, exp4(f32x4.sub(v128.load(x), by)));
      s1 = f32x4.add(s1, exp4(f32x4.sub(v128.load(x, 16), by)));
    }
    if (left >= 4) {
      s0 = f32x4.add(s0, exp4(f32x4.sub(v128.load(x), by)));
      x += 16;
      left -= 4;
    }
    if (left) s1 = f32x4.add(s1, exp4(f32x4.sub(loadFirst(x, left, f32x4.splat(-Infinity)), by)));
    total += sumLanes(f32x4.add(s0, s1));
  }
  return <f32>total;
}

/** Writes e^(x - shift) to y and returns the sum, the same bits as `sumOfExp`. */
export function storeExp(x: usize, y: usize, count: i32, shift: f32): f32 {
  const by = f32x4.splat(shift);
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 8; left -= 8, x += 32, y += 32) {
      const e0 = exp4(f32x4.sub(v128.load(x), by)), e1 = exp4(f32x4.sub(v128.load(x, 16), by));
      v128.store(y, e0);
      v128.store(y, e1, 16);
      s0 = f32x4.add(s0, e0);
      s1 = f32x4.add(s1, e1);
    }
    if (left >= 4) {
      const e = exp4(f32x4.sub(v128.load(x), by));
      v128.store(y, e);
      s0 = f32x4.add(s0, e);
      x += 16;
      y += 16;
      left -= 4;
    }
    if (left) {
      const e = exp4(f32x4.sub(loadFirst(x, left, f32x4.splat(-Infinity)), by));
      storeFirst(y, e, left);
      s1 = f32x4.add(s1, e);
    }
    total += sumLanes(f32x4.add(s0, s1));
  }
  return <f32>total;
}
