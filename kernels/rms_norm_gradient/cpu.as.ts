// A unit is one row: first the dot of x with the gradient of the normalized row, in sixteen partial sums, then dx.
import { address, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst, sumLanes } from "../parts/math.as";

export function rmsNormGradient(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), gain = address(list, 1), inverse = address(list, 2), g = address(list, 3);
  const dx = address(list, 4);
  const D = integer(list, 5);
  const bytes = <usize>D << 2;
  const whole = <usize>(D & ~3) << 2, blocks = <usize>(D & ~15) << 2;
  const tail = D & 3;
  const zero = f32x4.splat(0);
  for (let row = <usize>from; row < <usize>to; row++) {
    const source = x + row * bytes, gradient = g + row * bytes, target = dx + row * bytes;
    let s0 = zero, s1 = zero, s2 = zero, s3 = zero;
    let at: usize = 0;
    for (; at < blocks; at += 64) {
      const x0 = source + at, g0 = gradient + at, w0 = gain + at;
      s0 = multiplyAdd(f32x4.mul(v128.load(g0), v128.load(w0)), v128.load(x0), s0);
      s1 = multiplyAdd(f32x4.mul(v128.load(g0, 16), v128.load(w0, 16)), v128.load(x0, 16), s1);
      s2 = multiplyAdd(f32x4.mul(v128.load(g0, 32), v128.load(w0, 32)), v128.load(x0, 32), s2);
      s3 = multiplyAdd(f32x4.mul(v128.load(g0, 48), v128.load(w0, 48)), v128.load(x0, 48), s3);
    }
    for (; at < whole; at += 16) {
      s0 = multiplyAdd(f32x4.mul(v128.load(gradient + at), v128.load(gain + at)), v128.load(source + at), s0);
    }
    if (tail > 0) {
      const through = f32x4.mul(loadFirst(gradient + whole, tail, zero), loadFirst(gain + whole, tail, zero));
      s1 = multiplyAdd(through, loadFirst(source + whole, tail, zero), s1);
    }
    const dot = sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
    const found = load<f32>(inverse + (row << 2));
    const factor = f32x4.splat(found);
    const back = f32x4.splat(<f32>(-<f64>found * <f64>found * <f64>found * <f64>dot / <f64>D));
    for (at = 0; at < whole; at += 16) {
      const through = f32x4.mul(v128.load(gradient + at), v128.load(gain + at));
      v128.store(target + at, multiplyAdd(back, v128.load(source + at), f32x4.mul(factor, through)));
    }
    if (tail > 0) {
      const through = f32x4.mul(loadFirst(gradient + whole, tail, zero), loadFirst(gain + whole, tail, zero));
      const value = multiplyAdd(back, loadFirst(source + whole, tail, zero), f32x4.mul(factor, through));
      storeFirst(target + whole, value, tail);
    }
  }
}
