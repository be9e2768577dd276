// A unit is a row.
import { address, integer } from "../parts/arguments.as";
import { shiftOf, sumOfExp } from "../parts/exponentials.as";
import { exp4, loadFirst, log1, storeFirst } from "../parts/math.as";

export function zLossGradient(from: i32, to: i32, list: usize): void {
  const E = integer(list, 6), masked = integer(list, 7) != 0;
  const z = address(list, 1), real = masked ? address(list, 4) : 0;
  const scale = load<f32>(address(list, 2)) * load<f32>(address(list, 3));
  const offset = (<usize>from * <usize>E) << 2, rest = E & 3;
  let x = address(list, 0) + offset, dx = address(list, masked ? 5 : 4) + offset;
  for (let t = from; t < to; t++) {
    const own = load<f32>(z + (<usize>t << 2));
    const largest = abs(own) > 256 ? shiftOf(x, E) : 0;
    const shift = f32x4.splat(largest);
    const log = f32x4.splat(abs(own) > 256 ? log1(sumOfExp(x, E, largest)) : own);
    const factor = f32x4.splat(scale * own * (masked ? load<f32>(real + (<usize>t << 2)) : 1));
    for (let left = E; left >= 4; left -= 4, x += 16, dx += 16) {
      v128.store(dx, f32x4.mul(factor, exp4(f32x4.sub(f32x4.sub(v128.load(x), shift), log))));
    }
    if (rest) {
      storeFirst(dx, f32x4.mul(factor, exp4(f32x4.sub(f32x4.sub(loadFirst(x, rest, shift), shift), log))), rest);
      x += <usize>rest << 2;
      dx += <usize>rest << 2;
    }
  }
}
