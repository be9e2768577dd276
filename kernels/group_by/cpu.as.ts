// One unit: a counting sort in two passes over the keys. `offset` itself holds the counts and then each group's next
// free place, which ends as the start of the following group, so no memory is needed besides the outputs.
import { address, integer } from "../parts/arguments.as";

export function groupBy(from: i32, to: i32, list: usize): void {
  const key = address(list, 0), order = address(list, 1), offset = address(list, 2), position = address(list, 3);
  const N = integer(list, 4), G = integer(list, 5);
  if (from >= to) return;
  memory.fill(offset, 0, <usize>(G + 1) << 2);
  for (let n: usize = 0; n < <usize>N; n++) {
    const group = load<u32>(key + (n << 2));
    if (group >= <u32>G) continue;
    const at = offset + (<usize>group << 2);
    store<i32>(at, load<i32>(at) + 1);
  }
  let next = 0;
  for (let g: usize = 0; g <= <usize>G; g++) {
    const count = load<i32>(offset + (g << 2));
    store<i32>(offset + (g << 2), next);
    next += count;
  }
  for (let n: usize = 0; n < <usize>N; n++) {
    const group = load<u32>(key + (n << 2));
    if (group >= <u32>G) {
      store<i32>(position + (n << 2), -1);
      continue;
    }
    const at = offset + (<usize>group << 2);
    const place = load<i32>(at);
    store<i32>(at, place + 1);
    store<i32>(order + (<usize>place << 2), <i32>n);
    store<i32>(position + (n << 2), place);
  }
  memory.fill(order + (<usize>next << 2), 0xff, <usize>(N - next) << 2);
  memory.copy(offset + 4, offset, <usize>G << 2);
  store<i32>(offset, 0);
}
