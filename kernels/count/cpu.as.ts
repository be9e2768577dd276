// One unit: a pass over keys takes about a nanosecond each.
import { address, integer } from "../parts/arguments.as";

export function count(from: i32, to: i32, list: usize): void {
  let key = address(list, 0);
  const y = address(list, 1), keys = integer(list, 2), groups = <u32>integer(list, 3);
  memory.fill(y, 0, <usize>groups << 2);
  const end = key + (<usize>keys << 2);
  for (; key < end; key += 4) {
    const group = load<u32>(key);
    if (group >= groups) continue;
    const at = y + (<usize>group << 2);
    store<i32>(at, load<i32>(at) + 1);
  }
}
