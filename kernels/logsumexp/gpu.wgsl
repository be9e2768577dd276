// y[r] = log of the sum of e^x[r, c] over c, with the largest value taken out first; x [rows, columns].
// `narrow`: one invocation a row; `wide`: one workgroup a row.

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
  largest = select(largest, 0.0, largest == -infinity());
  var sum = 0.0;
  for (var column = 0u; column < given.columns; column++) {
    sum += exponential(x[start + column] - largest);
  }
  y[row] = largest + logarithm(sum);
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
  var largest = largestOfLanes(most, lane);
  largest = select(largest, 0.0, largest == -infinity());
  var part = 0.0;
  for (var column = lane; column < given.columns; column += LANES) {
    part += exponential(x[start + column] - largest);
  }
  let sum = sumOfLanes(part, lane);
  if (lane == 0u) {
    y[row] = largest + logarithm(sum);
  }
}
