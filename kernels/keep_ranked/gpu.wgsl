// y[i] = key[i] where rank[i] is below what is kept, else -1; all [size]. Kept are `most`, or most of the scope of i
// (PER_SCOPE; `each` assignments a scope), and no more than the larger of count[i] and least[0] (COUNTED); a NaN keeps none.
// One invocation an assignment.

override PER_SCOPE: bool;
override COUNTED: bool;

struct Given {
  size: u32,
  each: u32,
  most: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> key: array<i32>;
@group(0) @binding(2) var<storage, read> rank: array<i32>;
@group(0) @binding(3) var<storage, read> mostOfScope: array<f32>;
@group(0) @binding(4) var<storage, read> count: array<i32>;
@group(0) @binding(5) var<storage, read> least: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<i32>;

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
  var most = given.most;
  if (PER_SCOPE) {
    most = mostOfScope[i / given.each];
  }
  let own = f32(rank[i]);
  var kept = own <= most - 0.5;
  if (COUNTED) {
    kept = kept && (rank[i] < count[i] || own < least[0]);
  }
  y[i] = select(-1, key[i], kept);
}
