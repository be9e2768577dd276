// dx[p] = weight[n] g[token of n] with n = order[p]; the token of n is n / each, or token[n] where each is 0. Zeros where
// the order or the token is outside. g [count, width], dx [size / width, width].
// One invocation for an element, or for four where the width allows it (`size` and `width` then count quads).

struct Given {
  size: u32,
  width: u32,
  count: u32,
  assignments: u32,
  each: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> gQuads: array<vec4f>;
@group(0) @binding(2) var<storage, read> order: array<i32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> token: array<i32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<storage, read_write> dxQuads: array<vec4f>;

fn rowOf(n: u32) -> u32 {
  if (n >= given.assignments) {
    return given.count;
  }
  if (given.each > 0u) {
    return n / given.each;
  }
  return u32(token[n]);
}

@compute @workgroup_size(256)
fn singles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let n = u32(order[i / given.width]);
  let row = rowOf(n);
  var value = 0.0;
  if (row < given.count) {
    value = weight[n] * g[row * given.width + i % given.width];
  }
  dx[i] = value;
}

@compute @workgroup_size(256)
fn quads(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let n = u32(order[i / given.width]);
  let row = rowOf(n);
  var value = vec4f(0.0);
  if (row < given.count) {
    value = weight[n] * gQuads[row * given.width + i % given.width];
  }
  dxQuads[i] = value;
}
