// y[g] = sum of weight[n] rows[index[n]] over n = order[offset[g]] to order[offset[g + 1] - 1]; rows [count, width],
// y [groups, width]. WGSL adds no floats atomically, so each group gathers its own rows, always in the same order.
// One invocation for a column of a group (`singles`), or for four where the width allows it (`quads`).

struct Given {
  size: u32,
  width: u32,
  count: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(1) var<storage, read> rowQuads: array<vec4f>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> order: array<i32>;
@group(0) @binding(5) var<storage, read> offset: array<i32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read_write> yQuads: array<vec4f>;

// `size` and `width` count quads here.
@compute @workgroup_size(256)
fn quads(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let g = i / given.width;
  let column = i % given.width;
  var sum = vec4f(0.0);
  for (var at = offset[g]; at < offset[g + 1u]; at++) {
    let n = order[at];
    let row = index[n];
    if (row >= 0 && u32(row) < given.count) {
      sum += weight[n] * rowQuads[u32(row) * given.width + column];
    }
  }
  yQuads[i] = sum;
}

@compute @workgroup_size(256)
fn singles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let g = i / given.width;
  let column = i % given.width;
  var sum = 0.0;
  for (var at = offset[g]; at < offset[g + 1u]; at++) {
    let n = order[at];
    let row = index[n];
    if (row >= 0 && u32(row) < given.count) {
      sum += weight[n] * rows[u32(row) * given.width + column];
    }
  }
  y[i] = sum;
}
