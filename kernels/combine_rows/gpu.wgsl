// y[g] = base[g] (BASED) + sum of weight[n] (WEIGHTED) rows[index[n]] over group g's n: order[offset[g]] to
// order[offset[g + 1] - 1], or g `each` to (g + 1) `each` - 1 (IN_ORDER); rows [count, width], base and y [groups, width].
// WGSL adds no floats atomically, so each group gathers its own rows, always in the same order.
// One invocation for a column of a group (`singles`), or for four where the width allows it (`quads`; `size` and `width`
// then count quads). Four rows a trip: trips are numbered, see checkTrips, and four loads are under way at once.

override WEIGHTED: bool;
override BASED: bool;
override IN_ORDER: bool;

struct Given {
  size: u32,
  width: u32,
  count: u32,
  each: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(1) var<storage, read> rowQuads: array<vec4f>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> order: array<i32>;
@group(0) @binding(5) var<storage, read> offset: array<i32>;
@group(0) @binding(6) var<storage, read> base: array<f32>;
@group(0) @binding(6) var<storage, read> baseQuads: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read_write> yQuads: array<vec4f>;

// Assignments of a group by their places: from .x to below .y.
fn placesOf(g: u32) -> vec2u {
  if (IN_ORDER) {
    return vec2u(g, g + 1u) * given.each;
  }
  return vec2u(u32(offset[g]), u32(offset[g + 1u]));
}

fn assignmentAt(place: u32) -> u32 {
  if (IN_ORDER) {
    return place;
  }
  return u32(order[place]);
}

fn weightOf(n: u32) -> f32 {
  if (WEIGHTED) {
    return weight[n];
  }
  return 1.0;
}

fn addQuad(sum: vec4f, place: u32, column: u32) -> vec4f {
  let n = assignmentAt(place);
  let row = u32(index[n]);
  if (row < given.count) {
    return sum + weightOf(n) * rowQuads[row * given.width + column];
  }
  return sum;
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
  let column = i % given.width;
  let places = placesOf(i / given.width);
  var sum = vec4f(0.0);
  var place = places.x;
  for (; place + 4u <= places.y; place += 4u) {
    sum = addQuad(sum, place, column);
    sum = addQuad(sum, place + 1u, column);
    sum = addQuad(sum, place + 2u, column);
    sum = addQuad(sum, place + 3u, column);
  }
  for (; place < places.y; place++) {
    sum = addQuad(sum, place, column);
  }
  if (BASED) {
    sum = baseQuads[i] + sum;
  }
  yQuads[i] = sum;
}

fn addSingle(sum: f32, place: u32, column: u32) -> f32 {
  let n = assignmentAt(place);
  let row = u32(index[n]);
  if (row < given.count) {
    return sum + weightOf(n) * rows[row * given.width + column];
  }
  return sum;
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
  let column = i % given.width;
  let places = placesOf(i / given.width);
  var sum = 0.0;
  var place = places.x;
  for (; place + 4u <= places.y; place += 4u) {
    sum = addSingle(sum, place, column);
    sum = addSingle(sum, place + 1u, column);
    sum = addSingle(sum, place + 2u, column);
    sum = addSingle(sum, place + 3u, column);
  }
  for (; place < places.y; place++) {
    sum = addSingle(sum, place, column);
  }
  if (BASED) {
    sum = base[i] + sum;
  }
  y[i] = sum;
}
