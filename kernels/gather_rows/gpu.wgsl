// y[n] = x[index[n]], words `outside` where the index is outside; times scale[n] in `scaledQuads` and `scaledSingles`.
// x [count, width], y [size / width, width]. Words are copied as they are, so copies serve both element types.
// One invocation for an element, or for four where the width allows it (`size` and `width` then count quads).

struct Given {
  size: u32,
  width: u32,
  count: u32,
  outside: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> xQuads: array<vec4u>;
@group(0) @binding(1) var<storage, read> floats: array<f32>;
@group(0) @binding(1) var<storage, read> floatQuads: array<vec4f>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<storage, read_write> yQuads: array<vec4u>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> scaledY: array<f32>;
@group(0) @binding(4) var<storage, read_write> scaledYQuads: array<vec4f>;

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
  let row = u32(index[i / given.width]);
  var value = given.outside;
  if (row < given.count) {
    value = x[row * given.width + i % given.width];
  }
  y[i] = value;
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
  let row = u32(index[i / given.width]);
  var value = vec4u(given.outside);
  if (row < given.count) {
    value = xQuads[row * given.width + i % given.width];
  }
  yQuads[i] = value;
}

@compute @workgroup_size(256)
fn scaledSingles(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let n = i / given.width;
  let row = u32(index[n]);
  var value = 0.0;
  if (row < given.count) {
    value = floats[row * given.width + i % given.width] * scale[n];
  }
  scaledY[i] = value;
}

@compute @workgroup_size(256)
fn scaledQuads(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let n = i / given.width;
  let row = u32(index[n]);
  var value = vec4f(0.0);
  if (row < given.count) {
    value = floatQuads[row * given.width + i % given.width] * scale[n];
  }
  scaledYQuads[i] = value;
}
