// A unit is one output row. It gathers its own rows through the inverse order, in that order, so nothing is scattered
// and sums do not depend on threads. Sixteen columns at a time stay in registers over all rows.
import { address, integer } from "../arguments.as";
import { multiplyAdd } from "../gemm.as";
import { loadFirst, storeFirst } from "../math.as";

export function combineRows(from: i32, to: i32, list: usize): void {
  const rows = address(list, 0), index = address(list, 1), weight = address(list, 2), order = address(list, 3);
  const offset = address(list, 4), y = address(list, 5);
  const M = <u32>integer(list, 6), D = integer(list, 7);
  const bytes = <usize>D << 2;
  for (let g = <usize>from; g < <usize>to; g++) {
    const start = order + (<usize>load<u32>(offset + (g << 2)) << 2);
    const end = order + (<usize>load<u32>(offset + (g << 2), 4) << 2);
    const target = y + g * bytes;
    let d = 0;
    for (; d + 16 <= D; d += 16) {
      let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
      const column = <usize>d << 2;
      for (let at = start; at < end; at += 4) {
        const n = <usize>load<u32>(at) << 2;
        const row = load<u32>(index + n);
        if (row >= M) continue;
        const w = v128.load_splat<f32>(weight + n);
        const source = rows + <usize>row * bytes + column;
        s0 = multiplyAdd(w, v128.load(source), s0);
        s1 = multiplyAdd(w, v128.load(source, 16), s1);
        s2 = multiplyAdd(w, v128.load(source, 32), s2);
        s3 = multiplyAdd(w, v128.load(source, 48), s3);
      }
      v128.store(target + column, s0);
      v128.store(target + column, s1, 16);
      v128.store(target + column, s2, 32);
      v128.store(target + column, s3, 48);
    }
    for (; d < D; d += 4) {
      let sum = f32x4.splat(0);
      const column = <usize>d << 2;
      const width = D - d;
      for (let at = start; at < end; at += 4) {
        const n = <usize>load<u32>(at) << 2;
        const row = load<u32>(index + n);
        if (row >= M) continue;
        const source = rows + <usize>row * bytes + column;
        const values = width >= 4 ? v128.load(source) : loadFirst(source, width, f32x4.splat(0));
        sum = multiplyAdd(v128.load_splat<f32>(weight + n), values, sum);
      }
      if (width >= 4) v128.store(target + column, sum);
      else storeFirst(target + column, sum, width);
    }
  }
}
