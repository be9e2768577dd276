// A unit is a block of 1024 results, of 2048 elements.
import { address, float, integer } from "../parts/arguments.as";
import { opened4, shifted4 } from "../parts/gated.as";
import { gates, loadPairs, otherPairs, units } from "../parts/pairs.as";
import { storeFirst } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function each(from: i32, to: i32, list: usize, plain: bool): void {
  const start = from << 10, offset = <usize>start << 2;
  let h = address(list, 0) + 2 * offset, y = address(list, 1) + offset;
  const limit = f32x4.splat(float(list, 4)), steepness = f32x4.splat(float(list, 5)), shift = f32x4.splat(float(list, 6));
  let left = min(to << 10, integer(list, 2)) - start;
  for (; left >= 4; left -= 4, h += 32, y += 16) {
    const a = v128.load(h), b = v128.load(h, 16);
    const factor = opened4(gates(a, b), limit, steepness, plain);
    v128.store(y, f32x4.mul(factor, shifted4(units(a, b), limit, shift, plain)));
  }
  if (left > 0) {
    const a = loadPairs(h, left), b = otherPairs(h, left);
    const factor = opened4(gates(a, b), limit, steepness, plain);
    storeFirst(y, f32x4.mul(factor, shifted4(units(a, b), limit, shift, plain)), left);
  }
}

export function pairedSwiglu(from: i32, to: i32, list: usize): void {
  if (integer(list, 3)) each(from, to, list, true);
  else each(from, to, list, false);
}
