// dx[t, e] = g[0] slope[0] z[t] real[t] (MASKED) e^(x[t, e] - z[t]); x and dx [size / columns, columns]. One invocation for an
// element.

override MASKED: bool;

struct Given {
  size: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read> slope: array<f32>;
@group(0) @binding(4) var<storage, read> g: array<f32>;
@group(0) @binding(5) var<storage, read> real: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let t = i / given.columns;
  var factor = g[0] * slope[0] * z[t];
  if (MASKED) {
    factor *= real[t];
  }
  var shift = 0.0;
  var logOfSum = z[t];
  if (abs(logOfSum) > 256.0) {
    // z keeps too little of the logarithm: the row is summed anew.
    shift = -infinity();
    for (var at = t * given.columns; at < (t + 1u) * given.columns; at++) {
      shift = max(shift, x[at]);
    }
    var sum = 0.0;
    for (var at = t * given.columns; at < (t + 1u) * given.columns; at++) {
      sum += exponential(x[at] - shift);
    }
    logOfSum = logarithm(sum);
  }
  dx[i] = factor * exponential((x[i] - shift) - logOfSum);
}
