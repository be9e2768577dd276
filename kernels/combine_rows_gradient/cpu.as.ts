// A unit is one row. Without a list of tokens word 8 of the list says how many assignments each token has.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

export function combineRowsGradient(from: i32, to: i32, list: usize): void {
  const G = <u32>integer(list, 5), N = <u32>integer(list, 6), D = integer(list, 7), each = <u32>integer(list, 8);
  const g = address(list, 0), order = address(list, 1), weight = address(list, 2);
  const token = each > 0 ? 0 : address(list, 3), dx = address(list, each > 0 ? 3 : 4);
  const bytes = <usize>D << 2, whole = <usize>(D & ~3) << 2;
  const tail = D & 3;
  for (let p = <usize>from; p < <usize>to; p++) {
    const n = load<u32>(order + (p << 2));
    const row = n >= N ? G : each > 0 ? n / each : load<u32>(token + (<usize>n << 2));
    const target = dx + p * bytes;
    if (row >= G) {
      memory.fill(target, 0, bytes);
      continue;
    }
    const source = g + <usize>row * bytes, factor = v128.load_splat<f32>(weight + (<usize>n << 2));
    for (let at: usize = 0; at < whole; at += 16) {
      v128.store(target + at, f32x4.mul(v128.load(source + at), factor));
    }
    if (tail > 0) {
      storeFirst(target + whole, f32x4.mul(loadFirst(source + whole, tail, f32x4.splat(0)), factor), tail);
    }
  }
}
