// A unit is a row of y.
import { address, integer } from "../parts/arguments.as";

export function broadcastColumns(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), y = address(list, 1), stride = <usize>integer(list, 2) << 2;
  for (let row = from; row < to; row++) memory.copy(y + <usize>row * stride, x, stride);
}
