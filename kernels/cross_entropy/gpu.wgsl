// loss[t] = logsumexp(logits[t]) - logits[t, target[t]], and the logsumexp; a target outside 0..columns-1 costs 0.
// logits [rows, columns]. `narrow`: one invocation a row; `wide`: one workgroup a row.

struct Given {
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

fn store(row: u32, largest: f32, sum: f32) {
  let logOfSum = logarithm(sum);
  sums[row] = largest + logOfSum;
  let word = u32(targets[row]);
  var value = 0.0;
  if (word < given.columns) {
    // Not logsumexp - logit: large logits would cancel.
    value = logOfSum - (logits[row * given.columns + word] - largest);
  }
  loss[row] = value;
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
    largest = max(largest, logits[start + column]);
  }
  largest = select(largest, 0.0, largest == -infinity());
  var sum = 0.0;
  for (var column = 0u; column < given.columns; column++) {
    sum += exponential(logits[start + column] - largest);
  }
  store(row, largest, sum);
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
    most = max(most, logits[start + column]);
  }
  var largest = largestOfLanes(most, lane);
  largest = select(largest, 0.0, largest == -infinity());
  var part = 0.0;
  for (var column = lane; column < given.columns; column += LANES) {
    part += exponential(logits[start + column] - largest);
  }
  let sum = sumOfLanes(part, lane);
  if (lane == 0u) {
    store(row, largest, sum);
  }
}
