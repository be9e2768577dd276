// A unit is a row.
import { address, integer } from "../parts/arguments.as";
import { shiftOf, sumOfExp } from "../parts/exponentials.as";
import { log1 } from "../parts/math.as";

export function logsumexp(from: i32, to: i32, list: usize): void {
  const C = integer(list, 2);
  let x = address(list, 0) + ((<usize>from * <usize>C) << 2);
  const y = address(list, 1);
  for (let row = from; row < to; row++) {
    const shift = shiftOf(x, C);
    store<f32>(y + (<usize>row << 2), shift + log1(sumOfExp(x, C, shift)));
    x += <usize>C << 2;
  }
}
