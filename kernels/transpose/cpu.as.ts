// A unit is 16 columns of one matrix: each of its rows is read once, in one cache line, and written to 16 rows of y.
import { address, integer } from "../parts/arguments.as";

export function transpose(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), y = address(list, 1);
  const R = <usize>integer(list, 2), C = <usize>integer(list, 3);
  const blocks = (C + 15) >> 4;
  for (let unit = <usize>from; unit < <usize>to; unit++) {
    const matrix = ((unit / blocks) * R * C) << 2;
    const first = (unit % blocks) << 4;
    const columns = min<usize>(16, C - first);
    for (let r: usize = 0; r < R; r++) {
      let source = x + matrix + ((r * C + first) << 2);
      let target = y + matrix + ((first * R + r) << 2);
      for (let c: usize = 0; c < columns; c++) {
        store<u32>(target, load<u32>(source));
        source += 4;
        target += R << 2;
      }
    }
  }
}
