// y[0] = sum over rows of -real[t] p[t, e] log p[t, e] (real where MASKED), over the sum of real or the number of rows, at
// least 1; p [rows, columns]. `sums`: a workgroup for a block of 8192 elements; `join`: one workgroup.

override MASKED: bool;

struct Given {
  rows: u32,
  columns: u32,
  blocks: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read> real: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn sums(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  if (block >= given.blocks) {
    return;
  }
  let end = min((block + 1u) * 8192u, given.rows * given.columns);
  var part = 0.0;
  for (var i = block * 8192u + lane; i < end; i += LANES) {
    var term = p[i] * logarithm(max(p[i], 1e-30));
    if (MASKED) {
      term *= real[i / given.columns];
    }
    part -= term;
  }
  let total = sumOfLanes(part, lane);
  if (lane == 0u) {
    partial[block] = total;
  }
}

@compute @workgroup_size(64)
fn join(@builtin(local_invocation_index) lane: u32) {
  var part = 0.0;
  for (var block = lane; block < given.blocks; block += LANES) {
    part += partial[block];
  }
  let total = sumOfLanes(part, lane);
  var count = f32(given.rows);
  if (MASKED) {
    part = 0.0;
    for (var t = lane; t < given.rows; t += LANES) {
      part += real[t];
    }
    count = sumOfLanes(part, lane);
  }
  if (lane == 0u) {
    y[0] = total / max(1.0, count);
  }
}
