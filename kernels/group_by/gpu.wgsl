// Stable counting sort of key[size]: order[size], offset[groups + 1], position[size]. One workgroup does all of it: counts
// keys, sums the counts, and hands out places round by round, 256 keys a round. `next` is where each group continues.

struct Given {
  size: u32,
  groups: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> key: array<i32>;
@group(0) @binding(2) var<storage, read_write> order: array<i32>;
@group(0) @binding(3) var<storage, read_write> offset: array<atomic<i32>>;
@group(0) @binding(4) var<storage, read_write> position: array<i32>;
@group(0) @binding(5) var<storage, read_write> next: array<i32>;

const INVOCATIONS = 256u;
var<workgroup> sums: array<i32, INVOCATIONS>;

// -1 for a key outside the groups and past the end.
fn keyAt(n: u32) -> i32 {
  if (n >= given.size) {
    return -1;
  }
  let found = key[n];
  return select(-1, found, u32(found) < given.groups);
}

fn countKeys(lane: u32) {
  for (var g = lane; g <= given.groups; g += INVOCATIONS) {
    atomicStore(&offset[g], 0);
  }
  storageBarrier();
  for (var n = lane; n < given.size; n += INVOCATIONS) {
    let group = keyAt(n);
    if (group >= 0) {
      atomicAdd(&offset[group + 1], 1);
    }
  }
  storageBarrier();
}

// Each invocation sums a run of counts, the sums are summed, and each goes through its run again.
fn sumCounts(lane: u32) {
  let run = (given.groups + INVOCATIONS - 1u) / INVOCATIONS;
  let first = min(lane * run, given.groups);
  let end = min(first + run, given.groups);
  var sum = 0;
  for (var g = first; g < end; g++) {
    sum += atomicLoad(&offset[g + 1u]);
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var reach = 1u; reach < INVOCATIONS; reach *= 2u) {
    var other = 0;
    if (lane >= reach) {
      other = sums[lane - reach];
    }
    workgroupBarrier();
    sums[lane] += other;
    workgroupBarrier();
  }
  var place = sums[lane] - sum;
  for (var g = first; g < end; g++) {
    next[g] = place;
    place += atomicLoad(&offset[g + 1u]);
    atomicStore(&offset[g + 1u], place);
  }
  storageBarrier();
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  countKeys(lane);
  sumCounts(lane);
  let placed = u32(sums[INVOCATIONS - 1u]);
  for (var place = placed + lane; place < given.size; place += INVOCATIONS) {
    order[place] = -1;
  }
  for (var start = 0u; start < given.size; start += INVOCATIONS) {
    let n = start + lane;
    let group = keyAt(n);
    let rank = rankInRound(group, lane);
    var place = -1;
    if (group >= 0) {
      place = next[group] + rank.before;
      order[place] = i32(n);
    }
    if (n < given.size) {
      position[n] = place;
    }
    // All have read `next` before the last of each key moves it on.
    storageBarrier();
    workgroupBarrier();
    if (group >= 0 && rank.last) {
      next[group] = place + 1;
    }
    storageBarrier();
    workgroupBarrier();
  }
}
