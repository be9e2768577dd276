// A unit is a block of 1024 elements.
import { address, float, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function adamw(from: i32, to: i32, list: usize): void {
  const start = from << 10, count = min(to << 10, integer(list, 8)) - start;
  const offset = <usize>start << 2;
  let p = address(list, 0) + offset, g = address(list, 1) + offset;
  let m = address(list, 2) + offset, v = address(list, 3) + offset;
  let p1 = address(list, 5) + offset, m1 = address(list, 6) + offset, v1 = address(list, 7) + offset;
  const scale = v128.load_splat<f32>(address(list, 4));
  const beta1 = f32x4.splat(float(list, 9)), rest1 = f32x4.splat(float(list, 10));
  const beta2 = f32x4.splat(float(list, 11)), rest2 = f32x4.splat(float(list, 12));
  const rate = f32x4.splat(float(list, 13)), root = f32x4.splat(float(list, 14));
  const epsilon = f32x4.splat(float(list, 15)), decay = f32x4.splat(float(list, 16));
  for (let i = 0; i < count; i += 4) {
    const left = count - i, whole = left >= 4;
    const weight = whole ? v128.load(p) : loadFirst(p, left, scale);
    const gradient = f32x4.mul(whole ? v128.load(g) : loadFirst(g, left, scale), scale);
    const oldMean = whole ? v128.load(m) : loadFirst(m, left, scale);
    const oldSquare = whole ? v128.load(v) : loadFirst(v, left, scale);
    const mean = multiplyAdd(beta1, oldMean, f32x4.mul(rest1, gradient));
    const square = multiplyAdd(beta2, oldSquare, f32x4.mul(f32x4.mul(rest2, gradient), gradient));
    const below = multiplyAdd(f32x4.sqrt(square), root, epsilon);
    const change = multiplyAdd(decay, weight, f32x4.div(f32x4.mul(rate, mean), below));
    const next = f32x4.sub(weight, change);
    if (whole) {
      v128.store(p1, next);
      v128.store(m1, mean);
      v128.store(v1, square);
    } else {
      storeFirst(p1, next, left);
      storeFirst(m1, mean, left);
      storeFirst(v1, square, left);
    }
    p += 16;
    g += 16;
    m += 16;
    v += 16;
    p1 += 16;
    m1 += 16;
    v1 += 16;
  }
}
