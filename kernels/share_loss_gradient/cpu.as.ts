// A unit is a token.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function shareLossGradient(from: i32, to: i32, list: usize): void {
  const scope = integer(list, 4), E = integer(list, 5), masked = integer(list, 6) != 0;
  const slope = address(list, 0), g = address(list, 1), real = masked ? address(list, 2) : 0;
  const bytes = <usize>E << 2, rest = E & 3;
  let y = address(list, masked ? 3 : 2) + <usize>from * bytes;
  for (let t = from; t < to; t++) {
    const s = <usize>(t / scope);
    let factor = v128.load_splat<f32>(g + (s << 2));
    if (masked) factor = f32x4.mul(factor, v128.load_splat<f32>(real + (<usize>t << 2)));
    let x = slope + s * bytes;
    for (let left = E; left >= 4; left -= 4, x += 16, y += 16) v128.store(y, f32x4.mul(v128.load(x), factor));
    if (rest) {
      storeFirst(y, f32x4.mul(loadFirst(x, rest, factor), factor), rest);
      y += <usize>rest << 2;
    }
  }
}
