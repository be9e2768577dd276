// The frame of programs that need the logarithm of a row's sum of exponentials; the row is [columns] of `x`, which the
// program's own file declares beside what becomes of a row's largest value and of the sum relative to it (`finish`).
// `narrow`: one invocation a row; `wide`: one workgroup a row.

struct Given {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;

// A row of nothing but -infinity sums to 0, not to NaN.
fn finite(largest: f32) -> f32 {
  return select(largest, 0.0, largest == -infinity());
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
  var largest = -infinity();
  for (var column = 0u; column < given.columns; column++) {
    largest = max(largest, x[start + column]);
  }
  largest = finite(largest);
  var sum = 0.0;
  for (var column = 0u; column < given.columns; column++) {
    sum += exponential(x[start + column] - largest);
  }
  finish(row, largest, sum);
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
  let largest = finite(largestOfLanes(most, lane));
  var part = 0.0;
  for (var column = lane; column < given.columns; column += LANES) {
    part += exponential(x[start + column] - largest);
  }
  let sum = sumOfLanes(part, lane);
  if (lane == 0u) {
    finish(row, largest, sum);
  }
}
