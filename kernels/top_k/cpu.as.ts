// A unit is one row. Up to `FEW` choices are found by as many passes for the largest of what is left, over a copy in
// which chosen entries became -infinity; more are read off a sorted row. Both give the same choices.
import { address, integer, scratch } from "../parts/arguments.as";
import { largestLane, loadFirst } from "../parts/math.as";
import { descendingKey, sortPairs } from "../parts/sort.as";

const FEW: i32 = 64;

export function topK(from: i32, to: i32, list: usize): void {
  const score = address(list, 0), value = address(list, 1), index = address(list, 2);
  const E = integer(list, 3), k = integer(list, 4);
  for (let t = <usize>from; t < <usize>to; t++) {
    const row = score + ((t * <usize>E) << 2);
    const values = value + ((t * <usize>k) << 2), indices = index + ((t * <usize>k) << 2);
    if (k <= FEW) byPasses(row, E, k, indices);
    else bySorting(row, E, k, indices);
    for (let i: usize = 0; i < <usize>k; i++) {
      const found = load<f32>(row + (<usize>load<u32>(indices + (i << 2)) << 2));
      store<f32>(values + (i << 2), found == found ? found : -Infinity);
    }
  }
}

/** NaN becomes -infinity. */
// @ts-ignore: decorator
@inline
function ranked(v: v128): v128 {
  return v128.bitselect(v, f32x4.splat(-Infinity), f32x4.eq(v, v));
}

function byPasses(row: usize, E: i32, k: i32, indices: usize): void {
  const whole = <usize>(E & ~3) << 2;
  let first = f32x4.splat(-Infinity), second = f32x4.splat(-Infinity);
  const copy = scratch;
  for (let at: usize = 0; at < whole; at += 16) {
    const v = ranked(v128.load(row + at));
    v128.store(copy + at, v);
    first = f32x4.pmax(first, v);
  }
  let end = copy + whole;
  if ((E & 3) > 0) {
    const v = ranked(loadFirst(row + whole, E & 3, f32x4.splat(-Infinity)));
    v128.store(copy + whole, v);
    first = f32x4.pmax(first, v);
    end += 16;
  }
  for (let i = 0; i < k; i++) {
    const largest = largestLane(first);
    if (largest == -Infinity) return chooseLowest(E, i, k, indices);
    const wanted = f32x4.splat(largest);
    let at = copy;
    let same = f32x4.eq(v128.load(at), wanted);
    while (!v128.any_true(same)) {
      at += 16;
      same = f32x4.eq(v128.load(at), wanted);
    }
    at += <usize>ctz(i32x4.bitmask(same)) << 2;
    store<u32>(indices + (<usize>i << 2), <u32>((at - copy) >> 2));
    if (i + 1 == k) return;
    store<f32>(at, -Infinity);
    first = f32x4.splat(-Infinity);
    second = f32x4.splat(-Infinity);
    at = copy;
    for (; at + 32 <= end; at += 32) {
      first = f32x4.pmax(first, v128.load(at));
      second = f32x4.pmax(second, v128.load(at, 16));
    }
    if (at < end) first = f32x4.pmax(first, v128.load(at));
    first = f32x4.pmax(first, second);
  }
}

/** Only -infinity is left: choices `from` to `k` - 1 are the lowest entries not chosen yet. */
function chooseLowest(E: i32, from: i32, k: i32, indices: usize): void {
  let made = from;
  for (let entry = 0; entry < E && made < k; entry++) {
    let free = true;
    for (let i = 0; i < from; i++) free = free && load<i32>(indices + (<usize>i << 2)) != entry;
    if (!free) continue;
    store<i32>(indices + (<usize>made << 2), entry);
    made++;
  }
}

function bySorting(row: usize, E: i32, k: i32, indices: usize): void {
  for (let entry: usize = 0; entry < <usize>E; entry++) {
    const value = load<f32>(row + (entry << 2));
    store<u32>(scratch + (entry << 3), descendingKey(value == value ? value : -Infinity));
    store<u32>(scratch + (entry << 3), <u32>entry, 4);
  }
  sortPairs(scratch, E);
  for (let i: usize = 0; i < <usize>k; i++) {
    store<u32>(indices + (i << 2), load<u32>(scratch + (i << 3), 4));
  }
}
