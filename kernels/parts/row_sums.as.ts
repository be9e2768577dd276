// Sums over a row: in f32 over 1024 terms, then in f64, so that a long row costs no accuracy.
import { multiplyAdd } from "./gemm.as";
import { loadFirst, sumLanes } from "./math.as";

const BLOCK: i32 = 1024;

/** Sum of `count` numbers. */
export function sum(x: usize, count: i32): f32 {
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 16; left -= 16, x += 64) {
      s0 = f32x4.add(s0, v128.load(x));
      s1 = f32x4.add(s1, v128.load(x, 16));
      s2 = f32x4.add(s2, v128.load(x, 32));
      s3 = f32x4.add(s3, v128.load(x, 48));
    }
    for (; left >= 4; left -= 4, x += 16) s0 = f32x4.add(s0, v128.load(x));
    if (left) {
      s1 = f32x4.add(s1, loadFirst(x, left, f32x4.splat(0)));
    }
    total += sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  }
  return <f32>total;
}

/** Sum of products. */
export function dot(a: usize, b: usize, count: i32): f32 {
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 8; left -= 8, a += 32, b += 32) {
      s0 = multiplyAdd(v128.load(a), v128.load(b), s0);
      s1 = multiplyAdd(v128.load(a, 16), v128.load(b, 16), s1);
    }
    for (; left >= 4; left -= 4, a += 16, b += 16) s0 = multiplyAdd(v128.load(a), v128.load(b), s0);
    if (left) {
      const zero = f32x4.splat(0);
      s1 = multiplyAdd(loadFirst(a, left, zero), loadFirst(b, left, zero), s1);
    }
    total += sumLanes(f32x4.add(s0, s1));
  }
  return <f32>total;
}
