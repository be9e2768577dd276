// One unit: arrays in order, each in blocks of 4096 elements, then the blocks in order.
import { address, integer } from "../parts/arguments.as";
import { loadFirst } from "../parts/math.as";

const BLOCK: i32 = 4096;

// @ts-ignore: decorator
@inline
function addSquare(sum: v128, pair: v128): v128 {
  const wide = f64x2.promote_low_f32x4(pair);
  return f64x2.add(sum, f64x2.mul(wide, wide));
}

export function sumSquares(from: i32, to: i32, list: usize): void {
  const arrays = integer(list, 0);
  let sum: f32 = 0;
  for (let array = 0; array < arrays; array++) {
    const own = <f32>squaresOf(address(list, 1 + arrays + array), integer(list, 1 + array));
    sum = array == 0 ? own : own + sum;
  }
  store<f32>(address(list, 1 + 2 * arrays), sum);
}

function squaresOf(x: usize, count: i32): f64 {
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 8; left -= 8, x += 32) {
      const low = v128.load(x), high = v128.load(x, 16);
      s0 = addSquare(s0, low);
      s1 = addSquare(s1, v128.shuffle<f64>(low, low, 1, 1));
      s2 = addSquare(s2, high);
      s3 = addSquare(s3, v128.shuffle<f64>(high, high, 1, 1));
    }
    for (; left >= 2; left -= 2, x += 8) s0 = addSquare(s0, v128.load_zero<f64>(x));
    if (left) s1 = addSquare(s1, loadFirst(x, 1, f32x4.splat(0)));
    const sum = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
    total += f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  }
  return total;
}
