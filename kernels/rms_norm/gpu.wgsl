// inverse[r] = 1 / sqrt(mean of x[r]^2 + epsilon), y[r, c] = x[r, c] inverse[r] gain[c]; x and y [rows, columns].
// `narrow`: one invocation a row; `wide`: one workgroup a row.

struct Given {
  rows: u32,
  columns: u32,
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gain: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> inverse: array<f32>;

fn inverseOf(sum: f32) -> f32 {
  return 1.0 / sqrt(sum / f32(given.columns) + given.epsilon);
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
  var sum = 0.0;
  for (var column = 0u; column < given.columns; column++) {
    sum += x[start + column] * x[start + column];
  }
  let r = inverseOf(sum);
  inverse[row] = r;
  for (var column = 0u; column < given.columns; column++) {
    y[start + column] = x[start + column] * r * gain[column];
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
  for (var column = lane; column < given.columns; column += LANES) {
    part += x[start + column] * x[start + column];
  }
  let r = inverseOf(sumOfLanes(part, lane));
  if (lane == 0u) {
    inverse[row] = r;
  }
  for (var column = lane; column < given.columns; column += LANES) {
    y[start + column] = x[start + column] * r * gain[column];
  }
}
