// A unit is a block of 1024 elements.
import { address, float, integer } from "../parts/arguments.as";
import { opened4, openedSlope4, shifted4, shiftedGradient4 } from "../parts/gated.as";
import { loadFirst, storeFirst } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function each(from: i32, to: i32, list: usize, plain: bool): void {
  const start = from << 10, offset = <usize>start << 2;
  let gate = address(list, 0) + offset, x = address(list, 1) + offset, g = address(list, 2) + offset;
  let dgate = address(list, 3) + offset, dx = address(list, 4) + offset;
  const limit = f32x4.splat(float(list, 7)), steepness = f32x4.splat(float(list, 8)), shift = f32x4.splat(float(list, 9));
  let left = min(to << 10, integer(list, 5)) - start;
  for (; left >= 4; left -= 4, gate += 16, x += 16, g += 16, dgate += 16, dx += 16) {
    const own = v128.load(gate), unit = v128.load(x), gradient = v128.load(g);
    const scaled = f32x4.mul(gradient, shifted4(unit, limit, shift, plain));
    v128.store(dgate, f32x4.mul(scaled, openedSlope4(own, limit, steepness, plain)));
    v128.store(dx, shiftedGradient4(f32x4.mul(gradient, opened4(own, limit, steepness, plain)), unit, limit, plain));
  }
  const one = f32x4.splat(1);
  if (left > 0) {
    const own = loadFirst(gate, left, one), unit = loadFirst(x, left, one), gradient = loadFirst(g, left, one);
    const scaled = f32x4.mul(gradient, shifted4(unit, limit, shift, plain));
    storeFirst(dgate, f32x4.mul(scaled, openedSlope4(own, limit, steepness, plain)), left);
    storeFirst(dx, shiftedGradient4(f32x4.mul(gradient, opened4(own, limit, steepness, plain)), unit, limit, plain), left);
  }
}

export function swigluGradient(from: i32, to: i32, list: usize): void {
  if (integer(list, 6)) each(from, to, list, true);
  else each(from, to, list, false);
}
