// A unit is a row.
import { address, float, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, sumLanes } from "../parts/math.as";

export function chunkCosine(from: i32, to: i32, list: usize): void {
  const D = integer(list, 3), chunks = integer(list, 4), scale = float(list, 5), epsilon = float(list, 6);
  const long = D / chunks, zero = f32x4.splat(0);
  let x = address(list, 0) + ((<usize>from * <usize>D) << 2);
  let y = address(list, 1) + ((<usize>from * <usize>chunks) << 2);
  const norms = address(list, 2);
  for (let t = from; t < to; t++) {
    let squares = zero, at = x, left = D;
    for (; left >= 4; left -= 4, at += 16) squares = multiplyAdd(v128.load(at), v128.load(at), squares);
    if (left) {
      const own = loadFirst(at, left, zero);
      squares = multiplyAdd(own, own, squares);
    }
    const norm = sqrt<f32>(sumLanes(squares) + epsilon);
    store<f32>(norms + (<usize>t << 2), norm);
    for (let i = 0; i < chunks; i++, y += 4) {
      let sum = zero;
      for (left = long; left >= 4; left -= 4, x += 16) sum = f32x4.add(sum, v128.load(x));
      if (left) sum = f32x4.add(sum, loadFirst(x, left, zero));
      x += <usize>left << 2;
      store<f32>(y, sumLanes(sum) * scale / norm);
    }
  }
}
