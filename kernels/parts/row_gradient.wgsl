// The frame of gradients that need one sum of their row; all arrays [rows, columns]. The program's own file declares them,
// dx among them, and says what is summed (`termAt`) and what the sum is for (`gradientAt`), each at an element of a row.
// `narrow`: one invocation a row; `wide`: one workgroup a row.

struct Given {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;

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
    sum += termAt(i);
  }
  for (var i = start; i < start + given.columns; i++) {
    dx[i] = gradientAt(i, row, sum);
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
    part += termAt(i);
  }
  let sum = sumOfLanes(part, lane);
  for (var i = start + lane; i < start + given.columns; i += LANES) {
    dx[i] = gradientAt(i, row, sum);
  }
}
