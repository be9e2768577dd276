// A unit is a row.
import { address, integer } from "../parts/arguments.as";
import { exp4, loadFirst, storeFirst } from "../parts/math.as";
import { sum } from "../parts/row_sums.as";

export function logSoftmaxGradient(from: i32, to: i32, list: usize): void {
  const C = integer(list, 3), offset = (<usize>from * <usize>C) << 2, whole = <usize>(C & ~3) << 2;
  let y = address(list, 0) + offset, g = address(list, 1) + offset, dx = address(list, 2) + offset;
  const rest = C & 3, restBytes = <usize>rest << 2;
  for (let row = from; row < to; row++) {
    const all = f32x4.splat(sum(g, C));
    const end = y + whole;
    for (; y < end; y += 16, g += 16, dx += 16) {
      v128.store(dx, f32x4.sub(v128.load(g), f32x4.mul(exp4(v128.load(y)), all)));
    }
    if (rest) {
      const own = f32x4.sub(loadFirst(g, rest, all), f32x4.mul(exp4(loadFirst(y, rest, f32x4.splat(0))), all));
      storeFirst(dx, own, rest);
      y += restBytes;
      g += restBytes;
      dx += restBytes;
    }
  }
}
