// A unit is one scope. Its assignments are walked in order of rank with one counter a group; with a priority that order
// is a stable sort of the order there is without. Word 7 of the list tells whether there is a priority.
import { address, integer, scratch } from "../parts/arguments.as";
import { descendingKey, sortBytes, sortPairs } from "../parts/sort.as";

export function rankInGroup(from: i32, to: i32, list: usize): void {
  const hasPriority = integer(list, 7) != 0;
  const after = hasPriority ? 2 : 1;
  const key = address(list, 0), priority = address(list, 1), rank = address(list, after);
  const T = integer(list, after + 1), K = integer(list, after + 2), E = integer(list, after + 3);
  const S = integer(list, after + 4), choiceMajor = integer(list, hasPriority ? 8 : 6) != 0;
  for (let scope = from; scope < to; scope++) {
    const tokens = min(S, T - scope * S);
    const first = <usize>scope * <usize>S * <usize>K;
    const count = tokens * K;
    const keys = key + (first << 2), ranks = rank + (first << 2);
    const counters = hasPriority ? scratch + sortBytes(count) : scratch;
    memory.fill(counters, 0, <usize>E << 2);
    if (hasPriority) {
      const priorities = priority + (first << 2);
      let pair = scratch;
      for (let i = 0; i < count; i++) {
        const entry = choiceMajor ? (i % tokens) * K + i / tokens : i;
        store<u32>(pair, descendingKey(load<f32>(priorities + (<usize>entry << 2))));
        store<i32>(pair, entry, 4);
        pair += 8;
      }
      sortPairs(scratch, count);
      for (let i: usize = 0; i < <usize>count; i++) {
        give(load<u32>(scratch + (i << 3), 4), keys, ranks, counters, E);
      }
    } else if (choiceMajor) {
      for (let choice = 0; choice < K; choice++) {
        for (let token = 0; token < tokens; token++) give(<u32>(token * K + choice), keys, ranks, counters, E);
      }
    } else {
      for (let entry = 0; entry < count; entry++) give(<u32>entry, keys, ranks, counters, E);
    }
  }
}

// @ts-ignore: decorator
@inline
function give(entry: u32, keys: usize, ranks: usize, counters: usize, E: i32): void {
  const group = load<u32>(keys + (<usize>entry << 2));
  if (group >= <u32>E) {
    store<i32>(ranks + (<usize>entry << 2), -1);
    return;
  }
  const counter = counters + (<usize>group << 2);
  const rank = load<i32>(counter);
  store<i32>(counter, rank + 1);
  store<i32>(ranks + (<usize>entry << 2), rank);
}
