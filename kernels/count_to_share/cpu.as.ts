// A unit is one scope. Scores are laid out by group and rank in private memory, then each group is summed twice in order:
// once for its total, once until the share is reached. The group's count takes the place of its size.
import { address, float, integer, scratch } from "../parts/arguments.as";

export function countToShare(from: i32, to: i32, list: usize): void {
  const key = address(list, 0), rank = address(list, 1), score = address(list, 2), count = address(list, 3);
  const T = integer(list, 4), K = integer(list, 5), E = <u32>integer(list, 6), S = integer(list, 7);
  const share = float(list, 8);
  const sizes = scratch, offsets = scratch + (<usize>E << 2), sorted = offsets + (<usize>E << 2);
  for (let scope = from; scope < to; scope++) {
    const first = <usize>scope * <usize>S * <usize>K;
    const entries = <usize>(min(S, T - scope * S) * K);
    const keys = key + (first << 2), ranks = rank + (first << 2), scores = score + (first << 2);
    memory.fill(sizes, 0, <usize>E << 2);
    memory.fill(sorted, 0, entries << 2);
    for (let i: usize = 0; i < entries; i++) {
      const group = load<u32>(keys + (i << 2));
      if (group < E) store<u32>(sizes + (<usize>group << 2), load<u32>(sizes + (<usize>group << 2)) + 1);
    }
    let next: u32 = 0;
    for (let group: usize = 0; group < <usize>E; group++) {
      store<u32>(offsets + (group << 2), next);
      next += load<u32>(sizes + (group << 2));
    }
    for (let i: usize = 0; i < entries; i++) {
      const group = load<u32>(keys + (i << 2)), place = load<u32>(ranks + (i << 2));
      if (group >= E || place >= load<u32>(sizes + (<usize>group << 2))) continue;
      const value = load<f32>(scores + (i << 2));
      const at = load<u32>(offsets + (<usize>group << 2)) + place;
      store<f32>(sorted + (<usize>at << 2), value == value ? value : 0);
    }
    for (let group: usize = 0; group < <usize>E; group++) {
      const at = sizes + (group << 2);
      store<u32>(at, within(sorted + (<usize>load<u32>(offsets + (group << 2)) << 2), load<u32>(at), share));
    }
    for (let i: usize = 0; i < entries; i++) {
      const group = load<u32>(keys + (i << 2));
      store<u32>(count + ((first + i) << 2), group < E ? load<u32>(sizes + (<usize>group << 2)) : 0);
    }
  }
}

function within(scores: usize, size: u32, share: f32): u32 {
  let least: f32 = 0;
  for (let i: usize = 0; i < <usize>size; i++) least = min(least, load<f32>(scores + (i << 2)));
  let total: f32 = 0;
  for (let i: usize = 0; i < <usize>size; i++) total += load<f32>(scores + (i << 2)) - least;
  if (total == 0) return <u32>ceil<f32>(share * <f32>size);
  const wanted = share * total;
  let sum: f32 = 0;
  for (let i: usize = 0; i < <usize>size; i++) {
    sum += load<f32>(scores + (i << 2)) - least;
    if (sum >= wanted) return <u32>i + 1;
  }
  return 0;
}
