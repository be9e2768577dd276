// dx[t, e] = sum of g[t, i] over the i with index[t, i] = e; dx [rows, columns], index and g [rows, choices].
// One invocation for an element of dx: it looks through its row's choices in order.

struct Given {
  size: u32,
  columns: u32,
  choices: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let at = (group.y * groups.x + group.x) * 256u + lane;
  if (at >= given.size) {
    return;
  }
  let column = i32(at % given.columns);
  let start = (at / given.columns) * given.choices;
  var sum = 0.0;
  for (var i = start; i < start + given.choices; i++) {
    if (index[i] == column) {
      sum += g[i];
    }
  }
  dx[at] = sum;
}
