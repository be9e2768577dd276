// y[t, i] = x[t, index[t, i]], 0 where the index is outside; x [rows, columns], index and y [rows, choices].
// Words are copied as they are. One invocation for an element of y.

struct Given {
  size: u32,
  columns: u32,
  choices: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

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
  let column = u32(index[i]);
  var value = 0u;
  if (column < given.columns) {
    value = x[(i / given.choices) * given.columns + column];
  }
  y[i] = value;
}
