// A unit is one output row. Rows are moved as words, so f32 and i32 take the same path unless there is a scale; word 6
// of the list tells the two apart, and without a scale word 5 is the byte that rows out of range are filled with.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";
import { copyWords } from "../parts/words.as";

export function gatherRows(from: i32, to: i32, list: usize): void {
  const scaled = integer(list, 6) != 0;
  const after = scaled ? 3 : 2;
  const x = address(list, 0), index = address(list, 1), scale = address(list, 2), y = address(list, after);
  const R = <u32>integer(list, after + 1), W = integer(list, after + 2);
  const empty = <u8>(scaled ? 0 : integer(list, 5));
  const bytes = <usize>W << 2;
  const whole = <usize>(W & ~3) << 2;
  const tail = W & 3;
  for (let n = <usize>from; n < <usize>to; n++) {
    const row = load<u32>(index + (n << 2));
    const target = y + n * bytes;
    if (row >= R) {
      memory.fill(target, empty, bytes);
      continue;
    }
    const source = x + <usize>row * bytes;
    if (scaled) {
      const factor = v128.load_splat<f32>(scale + (n << 2));
      for (let at: usize = 0; at < whole; at += 16) {
        v128.store(target + at, f32x4.mul(v128.load(source + at), factor));
      }
      if (tail > 0) {
        storeFirst(target + whole, f32x4.mul(loadFirst(source + whole, tail, f32x4.splat(0)), factor), tail);
      }
    } else {
      copyWords(target, source, bytes);
    }
  }
}
