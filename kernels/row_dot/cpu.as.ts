// A unit is one pair of rows. Sixteen partial sums in four registers, added in a fixed order.
import { address, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, sumLanes } from "../parts/math.as";

export function rowDot(from: i32, to: i32, list: usize): void {
  const a = address(list, 0), indexA = address(list, 1), b = address(list, 2), indexB = address(list, 3);
  const y = address(list, 4);
  const R = <u32>integer(list, 5), Q = <u32>integer(list, 6), D = integer(list, 7);
  const bytes = <usize>D << 2;
  for (let n = <usize>from; n < <usize>to; n++) {
    const rowA = load<u32>(indexA + (n << 2)), rowB = load<u32>(indexB + (n << 2));
    if (rowA >= R || rowB >= Q) {
      store<f32>(y + (n << 2), 0);
      continue;
    }
    let p = a + <usize>rowA * bytes, q = b + <usize>rowB * bytes;
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let left = D;
    for (; left >= 16; left -= 16) {
      s0 = multiplyAdd(v128.load(p), v128.load(q), s0);
      s1 = multiplyAdd(v128.load(p, 16), v128.load(q, 16), s1);
      s2 = multiplyAdd(v128.load(p, 32), v128.load(q, 32), s2);
      s3 = multiplyAdd(v128.load(p, 48), v128.load(q, 48), s3);
      p += 64;
      q += 64;
    }
    for (; left >= 4; left -= 4) {
      s0 = multiplyAdd(v128.load(p), v128.load(q), s0);
      p += 16;
      q += 16;
    }
    if (left > 0) s1 = multiplyAdd(loadFirst(p, left, f32x4.splat(0)), loadFirst(q, left, f32x4.splat(0)), s1);
    store<f32>(y + (n << 2), sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3))));
  }
}
