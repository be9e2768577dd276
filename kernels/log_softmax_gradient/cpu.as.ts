// A unit is a row. The gradients are summed in f32 over 1024 terms, then in f64.
import { address, integer } from "../arguments.as";
import { exp4, loadFirst, storeFirst, sumLanes } from "../math.as";

const BLOCK: i32 = 1024;

function sum(x: usize, count: i32): f32 {
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 8; left -= 8, x += 32) {
      s0 = f32x4.add(s0, v128.load(x));
      s1 = f32x4.add(s1, v128.load(x, 16));
    }
    for (; left >= 4; left -= 4, x += 16) s0 = f32x4.add(s0, v128.load(x));
    if (left) s1 = f32x4.add(s1, loadFirst(x, left, f32x4.splat(0)));
    total += sumLanes(f32x4.add(s0, s1));
  }
  return <f32>total;
}

export function logSoftmaxGradient(from: i32, to: i32, list: usize): void {
  const C = integer(list, 3), offset = (<usize>from * <usize>C) << 2, whole = <usize>(C & ~3) << 2;
  let y = address(list, 0) + offset, g = address(list, 1) + offset, dx = address(list, 2) + offset;
  const rest = C & 3, restBytes = <usize>rest << 2;
  for (let row = from; row < to; row++) {
    const all = f32x4.splat(sum(g, C));
    const end = y + whole;
    for (; y < end; y += 16, g += 16, dx += 16) {
      v128.store(dx, f32x4.sub(v128.load(g), f32x4.mul(exp4(v128.load(y)), all)));
    }
    if (rest) {
      const own = f32x4.sub(loadFirst(g, rest, all), f32x4.mul(exp4(loadFirst(y, rest, f32x4.splat(0))), all));
      storeFirst(dx, own, rest);
      y += restBytes;
      g += restBytes;
      dx += restBytes;
    }
  }
}
