// A unit is a block of 1024 elements.
import { activate4 } from "../parts/activation.as";
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

const SILU: i32 = 2;

export function swiglu(from: i32, to: i32, list: usize): void {
  const start = from << 10, offset = <usize>start << 2;
  let gate = address(list, 0) + offset, x = address(list, 1) + offset, y = address(list, 2) + offset;
  let left = min(to << 10, integer(list, 3)) - start;
  for (; left >= 4; left -= 4, gate += 16, x += 16, y += 16) {
    v128.store(y, f32x4.mul(activate4(SILU, v128.load(gate)), v128.load(x)));
  }
  const one = f32x4.splat(1);
  if (left > 0) {
    storeFirst(y, f32x4.mul(activate4(SILU, loadFirst(gate, left, one)), loadFirst(x, left, one)), left);
  }
}
