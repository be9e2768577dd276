// dx[t, d] = (g[t, i] scale - x[t, d] (sum of g[t] y[t]) / norm[t]) / norm[t], i the chunk of d; x and dx [rows, width], y and
// g [rows, chunks]. One workgroup a row.

struct Given {
  rows: u32,
  width: u32,
  chunks: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read> norm: array<f32>;
@group(0) @binding(4) var<storage, read> g: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= given.rows) {
    return;
  }
  let first = row * given.chunks;
  var part = 0.0;
  for (var i = first + lane; i < first + given.chunks; i += LANES) {
    part += g[i] * y[i];
  }
  let length = norm[row];
  let along = sumOfLanes(part, lane) / length;
  let long = given.width / given.chunks;
  let start = row * given.width;
  for (var d = lane; d < given.width; d += LANES) {
    dx[start + d] = (g[first + d / long] * given.scale - x[start + d] * along) / length;
  }
}
