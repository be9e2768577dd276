// Stable counting sort of key[size] by many workgroups. Keys are cut into chunks; count[groups, chunks] says how many keys
// of a chunk belong to a group, its running sum where they go. Entry points in order: `clear` counts, `rank` keys within
// their chunk (into position), `sumBlocks`, `sumSums` and `addSums` for the running sum, `place`.

struct Given {
  size: u32,
  groups: u32,
  chunks: u32,
  keysPerChunk: u32,
  blocks: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> key: array<i32>;
@group(0) @binding(2) var<storage, read_write> order: array<i32>;
@group(0) @binding(3) var<storage, read_write> offset: array<i32>;
@group(0) @binding(4) var<storage, read_write> position: array<i32>;
@group(0) @binding(5) var<storage, read_write> count: array<i32>;
// Sums of blocks of 4096 counts; the total stands behind them.
@group(0) @binding(6) var<storage, read_write> blockSum: array<i32>;

const INVOCATIONS = 256u;
const RUN = 16u;
var<workgroup> sums: array<i32, INVOCATIONS>;

fn keyAt(n: u32) -> i32 {
  if (n >= given.size) {
    return -1;
  }
  let found = key[n];
  return select(-1, found, u32(found) < given.groups);
}

// Sum of the values of all earlier invocations.
fn sumBefore(value: i32, lane: u32) -> i32 {
  sums[lane] = value;
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
  return sums[lane] - value;
}

fn countAt(at: u32) -> i32 {
  if (at >= given.groups * given.chunks) {
    return 0;
  }
  return count[at];
}

@compute @workgroup_size(256)
fn clear(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let at = (group.y * groups.x + group.x) * INVOCATIONS + lane;
  if (at < given.groups * given.chunks) {
    count[at] = 0;
  }
}

// One workgroup a chunk.
@compute @workgroup_size(256)
fn rank(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let chunk = group.y * groups.x + group.x;
  if (chunk >= given.chunks) {
    return;
  }
  let end = min((chunk + 1u) * given.keysPerChunk, given.size);
  for (var start = chunk * given.keysPerChunk; start < end; start += INVOCATIONS) {
    let n = start + lane;
    var group = -1;
    if (n < end) {
      group = keyAt(n);
    }
    let ranked = rankInRound(group, lane);
    let at = u32(group) * given.chunks + chunk;
    var place = -1;
    if (group >= 0) {
      place = count[at] + ranked.before;
    }
    if (n < end) {
      position[n] = place;
    }
    storageBarrier();
    workgroupBarrier();
    if (group >= 0 && ranked.last) {
      count[at] = place + 1;
    }
    storageBarrier();
    workgroupBarrier();
  }
}

@compute @workgroup_size(256)
fn sumBlocks(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  if (block >= given.blocks) {
    return;
  }
  var sum = 0;
  for (var i = 0u; i < RUN; i++) {
    sum += countAt((block * INVOCATIONS + lane) * RUN + i);
  }
  let before = sumBefore(sum, lane);
  if (lane == INVOCATIONS - 1u) {
    blockSum[block] = before + sum;
  }
}

// One workgroup: sums of blocks become the sum of all blocks before each.
@compute @workgroup_size(256)
fn sumSums(@builtin(local_invocation_index) lane: u32) {
  let run = (given.blocks + INVOCATIONS - 1u) / INVOCATIONS;
  let first = min(lane * run, given.blocks);
  let end = min(first + run, given.blocks);
  var sum = 0;
  for (var block = first; block < end; block++) {
    sum += blockSum[block];
  }
  var before = sumBefore(sum, lane);
  if (lane == INVOCATIONS - 1u) {
    blockSum[given.blocks] = before + sum;
    offset[given.groups] = before + sum;
  }
  for (var block = first; block < end; block++) {
    let own = blockSum[block];
    blockSum[block] = before;
    before += own;
  }
}

@compute @workgroup_size(256)
fn addSums(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  if (block >= given.blocks) {
    return;
  }
  let first = (block * INVOCATIONS + lane) * RUN;
  var sum = 0;
  for (var i = 0u; i < RUN; i++) {
    sum += countAt(first + i);
  }
  var before = blockSum[block] + sumBefore(sum, lane);
  for (var i = 0u; i < RUN; i++) {
    let at = first + i;
    if (at >= given.groups * given.chunks) {
      break;
    }
    let own = count[at];
    count[at] = before;
    if (at % given.chunks == 0u) {
      offset[at / given.chunks] = before;
    }
    before += own;
  }
}

// One invocation a key.
@compute @workgroup_size(256)
fn place(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = (group.y * groups.x + group.x) * INVOCATIONS + lane;
  if (n >= given.size) {
    return;
  }
  let found = keyAt(n);
  if (found >= 0) {
    let at = count[u32(found) * given.chunks + n / given.keysPerChunk] + position[n];
    position[n] = at;
    order[at] = i32(n);
  }
  if (i32(n) >= blockSum[given.blocks]) {
    order[n] = -1;
  }
}
