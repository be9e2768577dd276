// A unit is one row. Squares go to sixteen partial sums in four registers, added in a fixed order.
import { address, float, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst, sumLanes } from "../parts/math.as";

export function rmsNorm(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), gain = address(list, 1), y = address(list, 2), inverse = address(list, 3);
  const D = integer(list, 4);
  const epsilon = float(list, 5);
  const bytes = <usize>D << 2;
  const whole = <usize>(D & ~3) << 2, blocks = <usize>(D & ~15) << 2;
  const tail = D & 3;
  for (let row = <usize>from; row < <usize>to; row++) {
    const source = x + row * bytes, target = y + row * bytes;
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let at: usize = 0;
    for (; at < blocks; at += 64) {
      const v0 = v128.load(source + at), v1 = v128.load(source + at, 16);
      const v2 = v128.load(source + at, 32), v3 = v128.load(source + at, 48);
      s0 = multiplyAdd(v0, v0, s0);
      s1 = multiplyAdd(v1, v1, s1);
      s2 = multiplyAdd(v2, v2, s2);
      s3 = multiplyAdd(v3, v3, s3);
    }
    for (; at < whole; at += 16) {
      const v = v128.load(source + at);
      s0 = multiplyAdd(v, v, s0);
    }
    if (tail > 0) {
      const v = loadFirst(source + whole, tail, f32x4.splat(0));
      s1 = multiplyAdd(v, v, s1);
    }
    const sum = sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
    const found = <f32>(1 / sqrt<f64>(<f64>sum / <f64>D + <f64>epsilon));
    store<f32>(inverse + (row << 2), found);
    const factor = f32x4.splat(found);
    for (at = 0; at < whole; at += 16) {
      const scaled = f32x4.mul(v128.load(source + at), factor);
      v128.store(target + at, f32x4.mul(scaled, v128.load(gain + at)));
    }
    if (tail > 0) {
      const scaled = f32x4.mul(loadFirst(source + whole, tail, f32x4.splat(0)), factor);
      storeFirst(target + whole, f32x4.mul(scaled, loadFirst(gain + whole, tail, f32x4.splat(0))), tail);
    }
  }
}
