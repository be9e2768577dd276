// A unit is a row: one token.
import { address, integer } from "../parts/arguments.as";
import { exp4, loadFirst, storeFirst } from "../parts/math.as";

export function crossEntropyGradient(from: i32, to: i32, list: usize): void {
  const V = integer(list, 5), stride = <usize>V << 2, rest = V & 3, whole = <usize>(V & ~3) << 2;
  let x = address(list, 0) + <usize>from * stride, y = address(list, 4) + <usize>from * stride;
  for (let row = from; row < to; row++) {
    const at = <usize>row << 2;
    const target = load<i32>(address(list, 1) + at);
    if (<u32>target >= <u32>V) {
      memory.fill(y, 0, stride);
      x += stride;
      y += stride;
      continue;
    }
    const normalizer = address(list, 2) + (at << 1);
    const shift = v128.load_splat<f32>(normalizer), log = v128.load_splat<f32>(normalizer, 4);
    const g = v128.load_splat<f32>(address(list, 3) + at);
    const place = y + (<usize>target << 2);
    const end = x + whole;
    for (; x < end; x += 16, y += 16) {
      v128.store(y, f32x4.mul(exp4(f32x4.sub(f32x4.sub(v128.load(x), shift), log)), g));
    }
    if (rest) {
      storeFirst(y, f32x4.mul(exp4(f32x4.sub(f32x4.sub(loadFirst(x, rest, shift), shift), log)), g), rest);
      x += <usize>rest << 2;
      y += <usize>rest << 2;
    }
    store<f32>(place, load<f32>(place) - f32x4.extract_lane(g, 0));
  }
}
