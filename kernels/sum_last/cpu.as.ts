// A unit is a row.
import { address, integer } from "../arguments.as";
import { loadFirst, sumLanes } from "../math.as";

const BLOCK: i32 = 1024;

function sum(x: usize, count: i32): f32 {
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 16; left -= 16, x += 64) {
      s0 = f32x4.add(s0, v128.load(x));
      s1 = f32x4.add(s1, v128.load(x, 16));
      s2 = f32x4.add(s2, v128.load(x, 32));
      s3 = f32x4.add(s3, v128.load(x, 48));
    }
    for (; left >= 4; left -= 4, x += 16) s0 = f32x4.add(s0, v128.load(x));
    if (left) {
      s1 = f32x4.add(s1, loadFirst(x, left, f32x4.splat(0)));
    }
    total += sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  }
  return <f32>total;
}

export function sumLast(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), y = address(list, 1), C = integer(list, 2);
  for (let row = from; row < to; row++) {
    store<f32>(y + (<usize>row << 2), sum(x + ((<usize>row * <usize>C) << 2), C));
  }
}
