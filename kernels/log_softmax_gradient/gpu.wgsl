// dx[r, c] = g[r, c] - e^y[r, c] times the sum of g[r]; all [rows, columns].
// `narrow`: one invocation a row; `wide`: one workgroup a row.

struct Given {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

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
  var sum = 0.0;
  for (var i = start; i < start + given.columns; i++) {
    sum += g[i];
  }
  for (var i = start; i < start + given.columns; i++) {
    dx[i] = g[i] - exponential(y[i]) * sum;
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
  var part = 0.0;
  for (var i = start + lane; i < start + given.columns; i += LANES) {
    part += g[i];
  }
  let sum = sumOfLanes(part, lane);
  for (var i = start + lane; i < start + given.columns; i += LANES) {
    dx[i] = g[i] - exponential(y[i]) * sum;
  }
}
