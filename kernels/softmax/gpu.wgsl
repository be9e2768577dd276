// y[r, c] = e^(x[r, c] - largest of x[r]) over the row's sum; x and y [rows, columns].
// `narrow`: one invocation a row; `wide`: one workgroup a row. Exponentials wait in y until their sum is known.

struct Given {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
  var largest = -infinity();
  for (var column = 0u; column < given.columns; column++) {
    largest = max(largest, x[start + column]);
  }
  var sum = 0.0;
  for (var column = 0u; column < given.columns; column++) {
    let e = exponential(x[start + column] - largest);
    y[start + column] = e;
    sum += e;
  }
  for (var column = 0u; column < given.columns; column++) {
    y[start + column] = y[start + column] / sum;
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
  var most = -infinity();
  for (var column = lane; column < given.columns; column += LANES) {
    most = max(most, x[start + column]);
  }
  let largest = largestOfLanes(most, lane);
  var part = 0.0;
  for (var column = lane; column < given.columns; column += LANES) {
    let e = exponential(x[start + column] - largest);
    y[start + column] = e;
    part += e;
  }
  let sum = sumOfLanes(part, lane);
  for (var column = lane; column < given.columns; column += LANES) {
    y[start + column] = y[start + column] / sum;
  }
}
