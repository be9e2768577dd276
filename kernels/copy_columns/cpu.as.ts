// A unit is one row of y: what lies left of x, columns of x, and what lies right of them. Entries are moved as words, and
// word 3 of the list says whether there is a base.
import { address, integer } from "../parts/arguments.as";
import { copyWords } from "../parts/words.as";

export function copyColumns(from: i32, to: i32, list: usize): void {
  const based = integer(list, 3) != 0;
  const x = address(list, 0), base = address(list, 1), y = address(list, based ? 2 : 1);
  const width = <usize>integer(list, 4) << 2, bytes = <usize>integer(list, 5) << 2;
  const left = <usize>integer(list, 6) << 2, count = <usize>integer(list, 7) << 2;
  const first = <usize>integer(list, 8) << 2;
  const right = left + count;
  for (let row = <usize>from; row < <usize>to; row++) {
    const target = y + row * bytes;
    if (based) {
      const under = base + row * bytes;
      copyWords(target, under, left);
      copyWords(target + right, under + right, bytes - right);
    } else {
      memory.fill(target, 0, left);
      memory.fill(target + right, 0, bytes - right);
    }
    copyWords(target + left, x + row * width + first, count);
  }
}
