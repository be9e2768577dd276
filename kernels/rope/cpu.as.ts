// A unit is one position: its sines and cosines are computed once, in f64 because an angle of thousands has no digits
// left in f32, and serve that position in every sequence. Scratch holds frequencies (f64), then cosines and sines.
import { address, float, integer, scratch } from "../arguments.as";

export function rope(from: i32, to: i32, list: usize): void {
  const qkv = address(list, 0), y = address(list, 1);
  const T = <usize>integer(list, 2), D = <usize>integer(list, 3), length = <usize>integer(list, 4);
  const heads = <usize>integer(list, 5), inverse = integer(list, 6) != 0;
  const base = <f64>float(list, 7);
  const half = D / heads / 2;
  const cosines = scratch + (half << 3), sines = cosines + (half << 2);
  for (let i: usize = 0; i < half; i++) {
    store<f64>(scratch + (i << 3), Math.pow(base, -<f64>i / <f64>half));
  }
  const apart = half << 2;
  const whole = (half & ~3) << 2;
  for (let position = <usize>from; position < <usize>to; position++) {
    for (let i: usize = 0; i < half; i++) {
      Math.sincos(<f64>position * load<f64>(scratch + (i << 3)));
      store<f32>(cosines + (i << 2), <f32>Math.sincos_cos);
      store<f32>(sines + (i << 2), <f32>(inverse ? -Math.sincos_sin : Math.sincos_sin));
    }
    for (let t = position; t < T; t += length) {
      const row = (t * 3 * D) << 2;
      // Queries and keys are 2 x heads groups of 2 x half numbers, one after the other.
      for (let head: usize = 0; head < 2 * heads; head++) {
        const source = qkv + row + 2 * head * apart, target = y + row + 2 * head * apart;
        let at: usize = 0;
        for (; at < whole; at += 16) {
          const a = v128.load(source + at), b = v128.load(source + apart + at);
          const c = v128.load(cosines + at), s = v128.load(sines + at);
          v128.store(target + at, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
          v128.store(target + apart + at, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)));
        }
        for (; at < apart; at += 4) {
          const a = load<f32>(source + at), b = load<f32>(source + apart + at);
          const c = load<f32>(cosines + at), s = load<f32>(sines + at);
          store<f32>(target + at, a * c - b * s);
          store<f32>(target + apart + at, b * c + a * s);
        }
      }
      memory.copy(y + row + ((2 * D) << 2), qkv + row + ((2 * D) << 2), D << 2);
    }
  }
}
