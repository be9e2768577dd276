// A unit is a block of 1024 elements.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, log4, storeFirst } from "../parts/math.as";
import { drawUniform } from "../parts/threefry.as";

// @ts-ignore: decorator
@inline
function noise(u: v128): v128 {
  const inside = f32x4.max(u, f32x4.splat(2.98023223876953125e-8));
  return f32x4.neg(log4(f32x4.neg(log4(inside))));
}

export function gumbel(from: i32, to: i32, list: usize): void {
  const start = from << 10, stop = min(to << 10, integer(list, 1));
  let y = address(list, 0) + (<usize>start << 2);
  drawUniform(y, start, stop, integer(list, 2), integer(list, 3));
  let left = stop - start;
  for (; left >= 4; left -= 4, y += 16) v128.store(y, noise(v128.load(y)));
  if (left > 0) storeFirst(y, noise(loadFirst(y, left, f32x4.splat(0.5))), left);
}
