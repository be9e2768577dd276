// norm = sqrt(sum of squares), scale = min(1, maximum / norm), 1 where the norm is 0. squares [count], norm and scale [1].
// One workgroup; an invocation sums every 64th number.

struct Given {
  count: u32,
  maximum: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < given.count; i += LANES) {
    sum += squares[i];
  }
  let root = sqrt(sumOfLanes(sum, lane));
  if (lane > 0u) {
    return;
  }
  norm[0] = root;
  let ratio = given.maximum / root;
  let atMostOne = select(ratio, 1.0, ratio > 1.0);
  scale[0] = select(atMostOne, 1.0, root == 0.0);
}
