// A unit is a row.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";
import { dot } from "../parts/row_sums.as";

export function rowShareGradient(from: i32, to: i32, list: usize): void {
  const C = integer(list, 4), offset = (<usize>from * <usize>C) << 2, whole = <usize>(C & ~3) << 2;
  let y = address(list, 0) + offset, g = address(list, 2) + offset, dx = address(list, 3) + offset;
  const total = address(list, 1);
  const rest = C & 3, restBytes = <usize>rest << 2;
  for (let row = from; row < to; row++) {
    const shift = f32x4.splat(dot(y, g, C)), divisor = v128.load_splat<f32>(total + (<usize>row << 2));
    const end = y + whole;
    for (; y < end; y += 16, g += 16, dx += 16) {
      v128.store(dx, f32x4.div(f32x4.sub(v128.load(g), shift), divisor));
    }
    if (rest) {
      storeFirst(dx, f32x4.div(f32x4.sub(loadFirst(g, rest, shift), shift), divisor), rest);
      y += restBytes;
      g += restBytes;
      dx += restBytes;
    }
  }
}
