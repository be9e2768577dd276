// A unit is a block of 1024 elements.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function toFloat(from: i32, to: i32, list: usize): void {
  const start = from << 10, count = min(to << 10, integer(list, 2)) - start;
  let x = address(list, 0) + (<usize>start << 2), y = address(list, 1) + (<usize>start << 2);
  const end = x + (<usize>(count & ~3) << 2);
  while (x < end) {
    v128.store(y, f32x4.convert_i32x4_s(v128.load(x)));
    x += 16;
    y += 16;
  }
  const rest = count & 3;
  if (rest) storeFirst(y, f32x4.convert_i32x4_s(loadFirst(x, rest, i32x4.splat(0))), rest);
}
