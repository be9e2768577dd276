// rank[t, i] = how many assignments before (t, i) in its scope have its key, -1 for a key outside the groups; key and rank
// [tokens, choices]. One workgroup a scope, 256 assignments a round in the order of ranking; `next`[scopes, groups] counts
// what earlier rounds had of each key.

override CHOICE_MAJOR: bool;

struct Given {
  tokens: u32,
  choices: u32,
  groups: u32,
  scope: u32,
  scopes: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> key: array<i32>;
@group(0) @binding(2) var<storage, read_write> rank: array<i32>;
@group(0) @binding(3) var<storage, read_write> next: array<i32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let scope = group.y * groups.x + group.x;
  if (scope >= given.scopes) {
    return;
  }
  let counts = scope * given.groups;
  for (var g = lane; g < given.groups; g += 256u) {
    next[counts + g] = 0;
  }
  storageBarrier();
  let first = scope * given.scope;
  let tokens = min(given.scope, given.tokens - first);
  let size = tokens * given.choices;
  for (var start = 0u; start < size; start += 256u) {
    let i = start + lane;
    var at = i;
    if (CHOICE_MAJOR) {
      at = (i % tokens) * given.choices + i / tokens;
    }
    at += first * given.choices;
    var found = -1;
    if (i < size) {
      found = key[at];
      if (u32(found) >= given.groups) {
        found = -1;
      }
    }
    let inRound = rankInRound(found, lane);
    var place = -1;
    if (found >= 0) {
      place = next[counts + u32(found)] + inRound.before;
    }
    if (i < size) {
      rank[at] = place;
    }
    // All have read `next` before the last of each key moves it on.
    storageBarrier();
    workgroupBarrier();
    if (found >= 0 && inRound.last) {
      next[counts + u32(found)] = place + 1;
    }
    storageBarrier();
    workgroupBarrier();
  }
}
