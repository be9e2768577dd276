// y[t, i] = scale times the sum of chunk i of x[t], over norm[t] = sqrt(sum x[t]^2 + epsilon); x [rows, width], y [rows,
// chunks]. One workgroup a row.

struct Given {
  rows: u32,
  width: u32,
  chunks: u32,
  scale: f32,
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;

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
  let start = row * given.width;
  var part = 0.0;
  for (var i = start + lane; i < start + given.width; i += LANES) {
    part += x[i] * x[i];
  }
  let length = sqrt(sumOfLanes(part, lane) + given.epsilon);
  if (lane == 0u) {
    norm[row] = length;
  }
  let long = given.width / given.chunks;
  for (var chunk = lane; chunk < given.chunks; chunk += LANES) {
    let first = start + chunk * long;
    var sum = 0.0;
    for (var i = first; i < first + long; i++) {
      sum += x[i];
    }
    y[row * given.chunks + chunk] = sum * given.scale / length;
  }
}
