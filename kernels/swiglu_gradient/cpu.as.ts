// A unit is a block of 1024 elements.
import { activate4, slopeAt4 } from "../parts/activation.as";
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

const SILU: i32 = 2;

export function swigluGradient(from: i32, to: i32, list: usize): void {
  const start = from << 10, offset = <usize>start << 2;
  let gate = address(list, 0) + offset, x = address(list, 1) + offset, g = address(list, 2) + offset;
  let dgate = address(list, 3) + offset, dx = address(list, 4) + offset;
  let left = min(to << 10, integer(list, 5)) - start;
  for (; left >= 4; left -= 4, gate += 16, x += 16, g += 16, dgate += 16, dx += 16) {
    const own = v128.load(gate), gradient = v128.load(g);
    v128.store(dgate, f32x4.mul(f32x4.mul(gradient, v128.load(x)), slopeAt4(SILU, own)));
    v128.store(dx, f32x4.mul(gradient, activate4(SILU, own)));
  }
  const one = f32x4.splat(1);
  if (left > 0) {
    const own = loadFirst(gate, left, one), gradient = loadFirst(g, left, one);
    storeFirst(dgate, f32x4.mul(f32x4.mul(gradient, loadFirst(x, left, one)), slopeAt4(SILU, own)), left);
    storeFirst(dx, f32x4.mul(gradient, activate4(SILU, own)), left);
  }
}
