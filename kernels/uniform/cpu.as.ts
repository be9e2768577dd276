// A unit is a block of 1024 elements.
import { address, integer } from "../parts/arguments.as";
import { drawUniform } from "../parts/threefry.as";

export function uniform(from: i32, to: i32, list: usize): void {
  const start = from << 10, stop = min(to << 10, integer(list, 1));
  drawUniform(address(list, 0) + (<usize>start << 2), start, stop, integer(list, 2), integer(list, 3));
}
