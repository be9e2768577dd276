// A unit is one position: its sines and cosines are computed once, in f64 because an angle of thousands has no digits
// left in f32, and serve that position in every sequence. Scratch holds frequencies (f64), then cosines and sines.
import { address, float, integer, scratch } from "../parts/arguments.as";

export function rope(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), offset = address(list, 1), y = address(list, 2);
  const C = <usize>integer(list, 3), sequences = <usize>integer(list, 4), width = <usize>integer(list, 5);
  const turned = <usize>integer(list, 6), half = <usize>integer(list, 7), inverse = integer(list, 8) != 0;
  const first = <usize>integer(list, 9), base = <f64>float(list, 10);
  const cosines = scratch + (half << 3), sines = cosines + (half << 2);
  for (let i: usize = 0; i < half; i++) {
    store<f64>(scratch + (i << 3), Math.pow(base, -<f64>i / <f64>half));
  }
  const apart = half << 2, headBytes = width << 2;
  const whole = (half & ~3) << 2;
  // Behind what is turned, of a head and of a row.
  const still = headBytes - 2 * apart, heads = turned * headBytes;
  for (let position = <usize>from; position < <usize>to; position++) {
    for (let i: usize = 0; i < half; i++) {
      Math.sincos(<f64>(first + position) * load<f64>(scratch + (i << 3)));
      store<f32>(cosines + (i << 2), <f32>Math.sincos_cos);
      store<f32>(sines + (i << 2), <f32>(inverse ? -Math.sincos_sin : Math.sincos_sin));
    }
    for (let sequence: usize = 0; sequence < sequences; sequence++) {
      const t = <usize>load<i32>(offset + (sequence << 2)) + position;
      if (t >= <usize>load<i32>(offset + (sequence << 2), 4)) continue;
      const row = (t * C) << 2;
      for (let head: usize = 0; head < turned; head++) {
        const source = x + row + head * headBytes, target = y + row + head * headBytes;
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
        if (still > 0) memory.copy(target + 2 * apart, source + 2 * apart, still);
      }
      memory.copy(y + row + heads, x + row + heads, (C << 2) - heads);
    }
  }
}
