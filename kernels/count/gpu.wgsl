// y[g] = how many of key[size] equal g. A workgroup counts 2048 groups in its memory: whole numbers may be added
// atomically, their sum does not depend on the order.

const GROUPS = 2048u;

struct Given {
  size: u32,
  groups: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> key: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<i32>;

var<workgroup> found: array<atomic<i32>, GROUPS>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = (group.y * groups.x + group.x) * GROUPS;
  for (var g = lane; g < GROUPS; g += 256u) {
    atomicStore(&found[g], 0);
  }
  workgroupBarrier();
  for (var i = lane; i < given.size; i += 256u) {
    // A negative key becomes a large one.
    let at = u32(key[i]) - first;
    if (at < GROUPS) {
      atomicAdd(&found[at], 1);
    }
  }
  workgroupBarrier();
  for (var g = lane; g < GROUPS && first + g < given.groups; g += 256u) {
    y[first + g] = atomicLoad(&found[g]);
  }
}
