// A unit is a row.
import { address, float, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function chunkCosineGradient(from: i32, to: i32, list: usize): void {
  const D = integer(list, 5), E = integer(list, 6), scale = float(list, 7);
  const long = D / E, norms = address(list, 2);
  const row = (<usize>from * <usize>D) << 2, chunks = (<usize>from * <usize>E) << 2;
  let x = address(list, 0) + row, dx = address(list, 4) + row;
  let y = address(list, 1) + chunks, g = address(list, 3) + chunks;
  for (let t = from; t < to; t++) {
    const norm = load<f32>(norms + (<usize>t << 2));
    let dot: f32 = 0;
    for (let at: usize = 0; at < <usize>E << 2; at += 4) dot += load<f32>(g + at) * load<f32>(y + at);
    const along = f32x4.splat(dot / norm), over = f32x4.splat(norm);
    for (let i = 0; i < E; i++, y += 4, g += 4) {
      const own = f32x4.splat(load<f32>(g) * scale);
      let left = long;
      for (; left >= 4; left -= 4, x += 16, dx += 16) {
        v128.store(dx, f32x4.div(f32x4.sub(own, f32x4.mul(v128.load(x), along)), over));
      }
      if (left) {
        storeFirst(dx, f32x4.div(f32x4.sub(own, f32x4.mul(loadFirst(x, left, own), along)), over), left);
        x += <usize>left << 2;
        dx += <usize>left << 2;
      }
    }
  }
}
