// A unit is a row. The dot product is summed in f32 over 1024 terms, then in f64.
import { address, integer } from "../arguments.as";
import { multiplyAdd } from "../gemm.as";
import { loadFirst, storeFirst, sumLanes } from "../math.as";

const BLOCK: i32 = 1024;

function dot(a: usize, b: usize, count: i32): f32 {
  let total: f64 = 0;
  while (count > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0);
    let left = min(count, BLOCK);
    count -= left;
    for (; left >= 8; left -= 8, a += 32, b += 32) {
      s0 = multiplyAdd(v128.load(a), v128.load(b), s0);
      s1 = multiplyAdd(v128.load(a, 16), v128.load(b, 16), s1);
    }
    for (; left >= 4; left -= 4, a += 16, b += 16) s0 = multiplyAdd(v128.load(a), v128.load(b), s0);
    if (left) {
      const zero = f32x4.splat(0);
      s1 = multiplyAdd(loadFirst(a, left, zero), loadFirst(b, left, zero), s1);
    }
    total += sumLanes(f32x4.add(s0, s1));
  }
  return <f32>total;
}

export function rowShareGradient(from: i32, to: i32, list: usize): void {
  const C = integer(list, 4), offset = (<usize>from * <usize>C) << 2, whole = <usize>(C & ~3) << 2;
  let y = address(list, 0) + offset, g = address(list, 2) + offset, dx = address(list, 3) + offset;
  const total = address(list, 1);
  const rest = C & 3, restBytes = <usize>rest << 2;
  for (let row = from; row < to; row++) {
    const shift = f32x4.splat(dot(y, g, C)), divisor = v128.load_splat<f32>(total + (<usize>row << 2));
    const end = y + whole;
    for (; y < end; y += 16, g += 16, dx += 16) {
      v128.store(dx, f32x4.div(f32x4.sub(v128.load(g), shift), divisor));
    }
    if (rest) {
      storeFirst(dx, f32x4.div(f32x4.sub(loadFirst(g, rest, shift), shift), divisor), rest);
      y += restBytes;
      g += restBytes;
      dx += restBytes;
    }
  }
}
