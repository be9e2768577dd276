// A unit is one row. Entries are moved as words.
import { address, integer } from "../parts/arguments.as";

export function takeAlong(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), index = address(list, 1), y = address(list, 2);
  const E = <usize>integer(list, 3), K = <usize>integer(list, 4);
  for (let t = <usize>from; t < <usize>to; t++) {
    const row = x + ((t * E) << 2);
    for (let at = (t * K) << 2, end = ((t + 1) * K) << 2; at < end; at += 4) {
      const entry = load<u32>(index + at);
      store<u32>(y + at, entry < <u32>E ? load<u32>(row + (<usize>entry << 2)) : 0);
    }
  }
}
