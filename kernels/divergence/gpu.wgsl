// y[0] = sum of weight[r] p[r, e] (log p[r, e] - wanted[r, e]), slope its derivative by p[r, e]; p, wanted and slope
// [size / columns, columns]. One workgroup: there are as many rows as ranks.

struct Given {
  size: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read> wanted: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> slope: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var part = 0.0;
  for (var i = lane; i < given.size; i += LANES) {
    let own = p[i];
    let shifted = own + 1e-30;
    let ratio = logarithm(shifted) - wanted[i];
    let factor = weight[i / given.columns];
    part += factor * own * ratio;
    slope[i] = factor * (ratio + own / shifted);
  }
  let total = sumOfLanes(part, lane);
  if (lane == 0u) {
    y[0] = total;
  }
}
