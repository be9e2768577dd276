// A unit is sixteen columns. Rows are added in runs of 256, and the runs one by one, which keeps rounding small over
// many rows and does not depend on threads.
import { address, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst } from "../parts/math.as";

const RUN: usize = 256;

export function rmsNormGainGradient(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), inverse = address(list, 1), g = address(list, 2), dgain = address(list, 3);
  const rows = <usize>integer(list, 4), D = integer(list, 5);
  const bytes = <usize>D << 2;
  const zero = f32x4.splat(0);
  for (let unit = from; unit < to; unit++) {
    const d = unit << 4;
    const width = min(16, D - d);
    const column = <usize>d << 2;
    if (width == 16) {
      let t0 = zero, t1 = zero, t2 = zero, t3 = zero;
      for (let first: usize = 0; first < rows; first += RUN) {
        let s0 = zero, s1 = zero, s2 = zero, s3 = zero;
        for (let row = first, end = min(first + RUN, rows); row < end; row++) {
          const p = x + row * bytes + column, q = g + row * bytes + column;
          const r = v128.load_splat<f32>(inverse + (row << 2));
          s0 = multiplyAdd(f32x4.mul(v128.load(p), r), v128.load(q), s0);
          s1 = multiplyAdd(f32x4.mul(v128.load(p, 16), r), v128.load(q, 16), s1);
          s2 = multiplyAdd(f32x4.mul(v128.load(p, 32), r), v128.load(q, 32), s2);
          s3 = multiplyAdd(f32x4.mul(v128.load(p, 48), r), v128.load(q, 48), s3);
        }
        t0 = f32x4.add(t0, s0);
        t1 = f32x4.add(t1, s1);
        t2 = f32x4.add(t2, s2);
        t3 = f32x4.add(t3, s3);
      }
      v128.store(dgain + column, t0);
      v128.store(dgain + column, t1, 16);
      v128.store(dgain + column, t2, 32);
      v128.store(dgain + column, t3, 48);
      continue;
    }
    for (let j = 0; j < width; j += 4) {
      const at = column + (<usize>j << 2);
      const few = width - j;
      let total = zero;
      for (let first: usize = 0; first < rows; first += RUN) {
        let sum = zero;
        for (let row = first, end = min(first + RUN, rows); row < end; row++) {
          const p = x + row * bytes + at, q = g + row * bytes + at;
          const r = v128.load_splat<f32>(inverse + (row << 2));
          const left = few >= 4 ? v128.load(p) : loadFirst(p, few, zero);
          const right = few >= 4 ? v128.load(q) : loadFirst(q, few, zero);
          sum = multiplyAdd(f32x4.mul(left, r), right, sum);
        }
        total = f32x4.add(total, sum);
      }
      if (few >= 4) v128.store(dgain + at, total);
      else storeFirst(dgain + at, total, few);
    }
  }
}
