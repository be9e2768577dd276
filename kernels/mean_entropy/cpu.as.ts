// One unit: rows in order.
import { address, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, log4, sumLanes } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function add(sum: v128, p: v128): v128 {
  return multiplyAdd(p, log4(f32x4.max(p, f32x4.splat(1e-30))), sum);
}

export function meanEntropy(from: i32, to: i32, list: usize): void {
  if (from >= to) return;
  const T = integer(list, 3), E = integer(list, 4), masked = integer(list, 5) != 0;
  let p = address(list, 0);
  const real = masked ? address(list, 1) : 0, y = address(list, masked ? 2 : 1);
  let total: f64 = 0, count: f64 = masked ? 0 : <f64>T;
  for (let t: usize = 0; t < <usize>T; t++) {
    let sum = f32x4.splat(0), left = E;
    for (; left >= 4; left -= 4, p += 16) sum = add(sum, v128.load(p));
    if (left) sum = add(sum, loadFirst(p, left, f32x4.splat(0)));
    p += <usize>left << 2;
    const own = <f64>sumLanes(sum);
    if (masked) {
      const weight = <f64>load<f32>(real + (t << 2));
      count += weight;
      total -= weight * own;
    } else {
      total -= own;
    }
  }
  store<f32>(y, <f32>(total / max<f64>(1, count)));
}
