// dx[r, c] = (g[r, c] - sum of y[r] g[r]) / total[r]; y, g and dx [rows, columns], total [rows].
// `narrow`: one invocation a row; `wide`: one workgroup a row.

struct Given {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> total: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

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
  for (var i = start; i < start + given.columns; i++) {
    dot += y[i] * g[i];
  }
  for (var i = start; i < start + given.columns; i++) {
    dx[i] = (g[i] - dot) / total[row];
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
    part += y[i] * g[i];
  }
  let dot = sumOfLanes(part, lane);
  for (var i = start + lane; i < start + given.columns; i += LANES) {
    dx[i] = (g[i] - dot) / total[row];
  }
}
