// A unit is one output row. It gathers its own rows through the inverse order, in that order, so nothing is scattered
// and sums do not depend on threads. Sixteen columns at a time stay in registers over all rows.
import { address, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function combineRows(from: i32, to: i32, list: usize): void {
  const M = <u32>integer(list, 7), D = integer(list, 8), each = integer(list, 9);
  const weighted = integer(list, 10) != 0, based = integer(list, 11) != 0;
  const rows = address(list, 0), index = address(list, 1);
  let next = 2;
  const weight = weighted ? address(list, next++) : 0;
  const order = each > 0 ? 0 : address(list, next++);
  const offset = each > 0 ? 0 : address(list, next++);
  const base = based ? address(list, next++) : 0;
  const y = address(list, next);
  const bytes = <usize>D << 2, zero = f32x4.splat(0), one = f32x4.splat(1);
  for (let g = <usize>from; g < <usize>to; g++) {
    const start = each > 0 ? <usize>each * g : <usize>load<u32>(offset + (g << 2));
    const end = each > 0 ? start + <usize>each : <usize>load<u32>(offset + (g << 2), 4);
    const target = y + g * bytes, under = base + g * bytes;
    let d = 0;
    for (; d + 16 <= D; d += 16) {
      let s0 = zero, s1 = zero, s2 = zero, s3 = zero;
      const column = <usize>d << 2;
      for (let at = start; at < end; at++) {
        const n = each > 0 ? at << 2 : <usize>load<u32>(order + (at << 2)) << 2;
        const row = load<u32>(index + n);
        if (row >= M) continue;
        const w = weighted ? v128.load_splat<f32>(weight + n) : one;
        const source = rows + <usize>row * bytes + column;
        s0 = multiplyAdd(w, v128.load(source), s0);
        s1 = multiplyAdd(w, v128.load(source, 16), s1);
        s2 = multiplyAdd(w, v128.load(source, 32), s2);
        s3 = multiplyAdd(w, v128.load(source, 48), s3);
      }
      if (based) {
        s0 = f32x4.add(v128.load(under + column), s0);
        s1 = f32x4.add(v128.load(under + column, 16), s1);
        s2 = f32x4.add(v128.load(under + column, 32), s2);
        s3 = f32x4.add(v128.load(under + column, 48), s3);
      }
      v128.store(target + column, s0);
      v128.store(target + column, s1, 16);
      v128.store(target + column, s2, 32);
      v128.store(target + column, s3, 48);
    }
    for (; d < D; d += 4) {
      let sum = zero;
      const column = <usize>d << 2;
      const width = D - d;
      for (let at = start; at < end; at++) {
        const n = each > 0 ? at << 2 : <usize>load<u32>(order + (at << 2)) << 2;
        const row = load<u32>(index + n);
        if (row >= M) continue;
        const source = rows + <usize>row * bytes + column;
        const values = width >= 4 ? v128.load(source) : loadFirst(source, width, zero);
        sum = multiplyAdd(weighted ? v128.load_splat<f32>(weight + n) : one, values, sum);
      }
      if (based) {
        const own = under + column;
        sum = f32x4.add(width >= 4 ? v128.load(own) : loadFirst(own, width, zero), sum);
      }
      if (width >= 4) v128.store(target + column, sum);
      else storeFirst(target + column, sum, width);
    }
  }
}
