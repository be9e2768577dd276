// A unit is a row.
import { address, integer } from "../parts/arguments.as";
import { sum } from "../parts/row_sums.as";

export function sumLast(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), y = address(list, 1), C = integer(list, 2);
  for (let row = from; row < to; row++) {
    store<f32>(y + (<usize>row << 2), sum(x + ((<usize>row * <usize>C) << 2), C));
  }
}
