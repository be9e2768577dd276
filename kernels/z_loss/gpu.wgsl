// loss[0] = scale times the sum of real[t] z[t]^2 over the sum of real (MASKED; otherwise over all rows), at least 1;
// slope[0] = 2 scale over that number. One workgroup.

override MASKED: bool;

struct Given {
  rows: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> real: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> slope: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var part = 0.0;
  var rows = 0.0;
  for (var t = lane; t < given.rows; t += LANES) {
    var weight = 1.0;
    if (MASKED) {
      weight = real[t];
    }
    part += weight * z[t] * z[t];
    rows += weight;
  }
  let sum = sumOfLanes(part, lane);
  let count = max(1.0, sumOfLanes(rows, lane));
  if (lane == 0u) {
    loss[0] = given.scale * sum / count;
    slope[0] = 2.0 * given.scale / count;
  }
}
