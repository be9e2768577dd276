// y[n] = MurmurHash3 (x86, 32 bits) of the words a[n] and b[n], modulo the groups; [size]. One invocation for an element.

struct Given {
  size: u32,
  seed: u32,
  groups: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn turned(x: u32, by: u32) -> u32 {
  return (x << by) | (x >> (32u - by));
}

fn mixed(hash: u32, word: u32) -> u32 {
  return turned(hash ^ (turned(word * 0xcc9e2d51u, 15u) * 0x1b873593u), 13u) * 5u + 0xe6546b64u;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  // 8 bytes are hashed.
  var hash = mixed(mixed(given.seed, a[i]), b[i]) ^ 8u;
  hash = (hash ^ (hash >> 16u)) * 0x85ebca6bu;
  hash = (hash ^ (hash >> 13u)) * 0xc2b2ae35u;
  y[i] = (hash ^ (hash >> 16u)) % given.groups;
}
