// A unit is a block of 1024 results, of 2048 elements.
import { address, float, integer } from "../parts/arguments.as";
import { opened4, openedSlope4, shifted4, shiftedGradient4 } from "../parts/gated.as";
import { gates, loadPairs, otherPairs, storePairs, units } from "../parts/pairs.as";
import { loadFirst } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function each(from: i32, to: i32, list: usize, plain: bool): void {
  const start = from << 10, offset = <usize>start << 2;
  let h = address(list, 0) + 2 * offset, g = address(list, 1) + offset, dh = address(list, 2) + 2 * offset;
  const limit = f32x4.splat(float(list, 5)), steepness = f32x4.splat(float(list, 6)), shift = f32x4.splat(float(list, 7));
  for (let left = min(to << 10, integer(list, 3)) - start; left > 0; left -= 4, h += 32, g += 16, dh += 32) {
    const whole = left >= 4;
    const a = whole ? v128.load(h) : loadPairs(h, left), b = whole ? v128.load(h, 16) : otherPairs(h, left);
    const gradient = whole ? v128.load(g) : loadFirst(g, left, f32x4.splat(1));
    const own = gates(a, b), unit = units(a, b);
    const scaled = f32x4.mul(gradient, shifted4(unit, limit, shift, plain));
    const dgate = f32x4.mul(scaled, openedSlope4(own, limit, steepness, plain));
    const dx = shiftedGradient4(f32x4.mul(gradient, opened4(own, limit, steepness, plain)), unit, limit, plain);
    storePairs(dh, dgate, dx, min(left, 4));
  }
}

export function pairedSwigluGradient(from: i32, to: i32, list: usize): void {
  if (integer(list, 4)) each(from, to, list, true);
  else each(from, to, list, false);
}
