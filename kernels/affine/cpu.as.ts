// A unit is a block of 1024 elements.
import { address, float, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function affine(from: i32, to: i32, list: usize): void {
  const start = from << 10, count = min(to << 10, integer(list, 2)) - start;
  let x = address(list, 0) + (<usize>start << 2), y = address(list, 1) + (<usize>start << 2);
  const scale = f32x4.splat(float(list, 3)), shift = f32x4.splat(float(list, 4));
  const end = x + (<usize>(count & ~3) << 2);
  while (x < end) {
    v128.store(y, multiplyAdd(v128.load(x), scale, shift));
    x += 16;
    y += 16;
  }
  const rest = count & 3;
  if (rest) storeFirst(y, multiplyAdd(loadFirst(x, rest, scale), scale, shift), rest);
}
