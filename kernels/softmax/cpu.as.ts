// A unit is a row.
import { address, integer } from "../parts/arguments.as";
import { shiftOf, storeExp } from "../parts/exponentials.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function softmax(from: i32, to: i32, list: usize): void {
  const C = integer(list, 2), offset = (<usize>from * <usize>C) << 2, stride = <usize>C << 2;
  let x = address(list, 0) + offset, y = address(list, 1) + offset;
  for (let row = from; row < to; row++) {
    const sum = storeExp(x, y, C, shiftOf(x, C));
    const factor = f32x4.splat(1 / sum);
    const end = y + (<usize>(C & ~3) << 2);
    let at = y;
    for (; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), factor));
    const rest = C & 3;
    if (rest) storeFirst(at, f32x4.mul(loadFirst(at, rest, factor), factor), rest);
    x += stride;
    y += stride;
  }
}
