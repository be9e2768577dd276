// dx = r gain g - x r^3 mean(gain g x) for each row, with r = inverse[row]; x, g and dx [rows, columns].
// `narrow`: one invocation a row; `wide`: one workgroup a row.

struct Given {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gain: array<f32>;
@group(0) @binding(3) var<storage, read> inverse: array<f32>;
@group(0) @binding(4) var<storage, read> g: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

// What is taken off along x.
fn along(dot: f32, r: f32) -> f32 {
  return dot / f32(given.columns) * r * r;
}

@compute @workgroup_size(256)
fn narrow(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * groups.x + group.x) * 256u + lane;
  if (row >= given.rows) {
    return;
  }
  let start = row * given.columns;
  var dot = 0.0;
  for (var column = 0u; column < given.columns; column++) {
    dot += gain[column] * g[start + column] * x[start + column];
  }
  let r = inverse[row];
  let part = along(dot, r);
  for (var column = 0u; column < given.columns; column++) {
    dx[start + column] = r * (gain[column] * g[start + column] - x[start + column] * part);
  }
}

@compute @workgroup_size(64)
fn wide(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= given.rows) {
    return;
  }
  let start = row * given.columns;
  var sum = 0.0;
  for (var column = lane; column < given.columns; column += LANES) {
    sum += gain[column] * g[start + column] * x[start + column];
  }
  let r = inverse[row];
  let part = along(sumOfLanes(sum, lane), r);
  for (var column = lane; column < given.columns; column += LANES) {
    dx[start + column] = r * (gain[column] * g[start + column] - x[start + column] * part);
  }
}
