// A unit is a block of 1024 elements: drawn to where the noise goes, then made noise of.
import { address, float, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst } from "../parts/math.as";
import { drawUniform } from "../parts/threefry.as";

export function jitter(from: i32, to: i32, list: usize): void {
  const start = from << 10, stop = min(to << 10, integer(list, 3)), offset = <usize>start << 2;
  let x = address(list, 0) + offset, y = address(list, 1) + offset, noise = address(list, 2) + offset;
  drawUniform(noise, start, stop, integer(list, 4), integer(list, 5));
  const scale = f32x4.splat(float(list, 6)), shift = f32x4.splat(float(list, 7));
  let left = stop - start;
  for (; left >= 4; left -= 4, x += 16, y += 16, noise += 16) {
    const factor = multiplyAdd(v128.load(noise), scale, shift);
    v128.store(noise, factor);
    v128.store(y, f32x4.mul(v128.load(x), factor));
  }
  if (left > 0) {
    const factor = multiplyAdd(loadFirst(noise, left, shift), scale, shift);
    storeFirst(noise, factor, left);
    storeFirst(y, f32x4.mul(loadFirst(x, left, shift), factor), left);
  }
}
