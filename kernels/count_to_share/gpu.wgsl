// count[t, i]: how many entries of the group and scope of (t, i), by rank, hold `share` of the group's score, less the
// lowest where that is negative; 0 for a key outside the groups. key, rank, score and count [tokens, choices].
// One workgroup a scope: it lays scores out by group and rank (`sorted`), then an invocation goes through a group in order
// of rank, because a sum's last bits decide a count and depend on the order. `begin` [scopes, groups + 1] is where groups
// lie in `sorted`, `found` [scopes, groups] what they count.

struct Given {
  tokens: u32,
  choices: u32,
  groups: u32,
  scope: u32,
  scopes: u32,
  share: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> key: array<i32>;
@group(0) @binding(2) var<storage, read> rank: array<i32>;
@group(0) @binding(3) var<storage, read> score: array<f32>;
@group(0) @binding(4) var<storage, read_write> count: array<i32>;
@group(0) @binding(5) var<storage, read_write> sorted: array<f32>;
@group(0) @binding(6) var<storage, read_write> begin: array<atomic<u32>>;
@group(0) @binding(7) var<storage, read_write> found: array<i32>;

const LANES = 64u;
var<workgroup> sums: array<u32, LANES>;

fn isNaN(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// Each invocation sums a run of sizes; `begin` holds a group's size one place behind it, and where it begins afterwards.
fn placeGroups(first: u32, lane: u32) {
  let run = (given.groups + LANES - 1u) / LANES;
  let start = min(lane * run, given.groups);
  let end = min(start + run, given.groups);
  var sum = 0u;
  for (var g = start; g < end; g++) {
    sum += atomicLoad(&begin[first + g + 1u]);
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var reach = 1u; reach < LANES; reach *= 2u) {
    var other = 0u;
    if (lane >= reach) {
      other = sums[lane - reach];
    }
    workgroupBarrier();
    sums[lane] += other;
    workgroupBarrier();
  }
  var place = sums[lane] - sum;
  for (var g = start; g < end; g++) {
    place += atomicLoad(&begin[first + g + 1u]);
    atomicStore(&begin[first + g + 1u], place);
  }
}

// How many of `size` scores from `at` on are needed.
fn countOf(at: u32, size: u32) -> i32 {
  var least = 0.0;
  for (var i = 0u; i < size; i++) {
    least = min(least, sorted[at + i]);
  }
  var total = 0.0;
  for (var i = 0u; i < size; i++) {
    total += sorted[at + i] - least;
  }
  if (total == 0.0) {
    return i32(ceil(given.share * f32(size)));
  }
  let wanted = given.share * total;
  var sum = 0.0;
  for (var i = 0u; i < size; i++) {
    sum += sorted[at + i] - least;
    if (sum >= wanted) {
      return i32(i) + 1;
    }
  }
  return 0;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let scope = group.y * groups.x + group.x;
  if (scope >= given.scopes) {
    return;
  }
  let firstEntry = scope * given.scope * given.choices;
  let endEntry = min((scope + 1u) * given.scope, given.tokens) * given.choices;
  let firstGroup = scope * (given.groups + 1u);
  for (var g = lane; g <= given.groups; g += LANES) {
    atomicStore(&begin[firstGroup + g], 0u);
  }
  for (var entry = firstEntry + lane; entry < endEntry; entry += LANES) {
    sorted[entry] = 0.0;
  }
  storageBarrier();
  for (var entry = firstEntry + lane; entry < endEntry; entry += LANES) {
    let g = u32(key[entry]);
    if (g < given.groups) {
      atomicAdd(&begin[firstGroup + g + 1u], 1u);
    }
  }
  storageBarrier();
  placeGroups(firstGroup, lane);
  storageBarrier();
  for (var entry = firstEntry + lane; entry < endEntry; entry += LANES) {
    let g = u32(key[entry]);
    if (g < given.groups) {
      let at = atomicLoad(&begin[firstGroup + g]);
      let size = atomicLoad(&begin[firstGroup + g + 1u]) - at;
      if (u32(rank[entry]) < size) {
        let value = score[entry];
        sorted[firstEntry + at + u32(rank[entry])] = select(value, 0.0, isNaN(value));
      }
    }
  }
  storageBarrier();
  for (var g = lane; g < given.groups; g += LANES) {
    let at = atomicLoad(&begin[firstGroup + g]);
    let size = atomicLoad(&begin[firstGroup + g + 1u]) - at;
    found[scope * given.groups + g] = countOf(firstEntry + at, size);
  }
  storageBarrier();
  for (var entry = firstEntry + lane; entry < endEntry; entry += LANES) {
    let g = u32(key[entry]);
    var value = 0;
    if (g < given.groups) {
      value = found[scope * given.groups + g];
    }
    count[entry] = value;
  }
}
