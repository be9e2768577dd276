// A unit is a row of y.
import { address, integer } from "../parts/arguments.as";
import { storeFirst } from "../parts/math.as";

export function broadcastRows(from: i32, to: i32, list: usize): void {
  const columns = integer(list, 2), rest = columns & 3;
  let x = address(list, 0) + (<usize>from << 2), y = address(list, 1) + ((<usize>from * <usize>columns) << 2);
  for (let row = from; row < to; row++) {
    const value = v128.load_splat<f32>(x);
    const end = y + (<usize>(columns & ~3) << 2);
    for (; y < end; y += 16) v128.store(y, value);
    if (rest) storeFirst(y, value, rest);
    y += <usize>rest << 2;
    x += 4;
  }
}
