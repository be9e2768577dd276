// A unit is a block of 1024 elements.
import { address, float, integer } from "../parts/arguments.as";
import { opened4, shifted4 } from "../parts/gated.as";
import { loadFirst, storeFirst } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function each(from: i32, to: i32, list: usize, plain: bool): void {
  const start = from << 10, offset = <usize>start << 2;
  let gate = address(list, 0) + offset, x = address(list, 1) + offset, y = address(list, 2) + offset;
  const limit = f32x4.splat(float(list, 5)), steepness = f32x4.splat(float(list, 6)), shift = f32x4.splat(float(list, 7));
  let left = min(to << 10, integer(list, 3)) - start;
  for (; left >= 4; left -= 4, gate += 16, x += 16, y += 16) {
    const factor = opened4(v128.load(gate), limit, steepness, plain);
    v128.store(y, f32x4.mul(factor, shifted4(v128.load(x), limit, shift, plain)));
  }
  const one = f32x4.splat(1);
  if (left > 0) {
    const factor = opened4(loadFirst(gate, left, one), limit, steepness, plain);
    storeFirst(y, f32x4.mul(factor, shifted4(loadFirst(x, left, one), limit, shift, plain)), left);
  }
}

export function swiglu(from: i32, to: i32, list: usize): void {
  if (integer(list, 4)) each(from, to, list, true);
  else each(from, to, list, false);
}
