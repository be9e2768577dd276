// Gradients of attention as in gpu.wgsl, for adapters that compute on the CPU, where barriers and loads cost most: the same
// arrays and formulas. One invocation for four rows of a head (queries, or keys with their values), one row of the other
// side after the other.

struct Given {
  width: u32,
  headWidth: u32,
  heads: u32,
  length: u32,
  blocks: u32,
  units: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> logsumexp: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<f32>;

// Columns of the widest head by fours, and those of four rows.
const MOST_QUADS = 8u;
const MOST_OF_FOUR = 32u;

struct Place {
  // First of the own rows, first and end of the sequence's, counted in all rows.
  first: u32,
  start: u32,
  end: u32,
  head: u32,
}

fn placeOf(unit: u32) -> Place {
  let start = (unit / given.blocks / given.heads) * given.length;
  let head = unit / given.blocks % given.heads;
  return Place(start + 4u * (unit % given.blocks), start, start + given.length, head);
}

fn within(four: vec4f, quad: u32) -> vec4f {
  return select(vec4f(0.0), four, vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u) < vec4u(given.headWidth));
}

// Columns 4 quad to 4 quad + 3 of a head's q (part 0), k (1) or v (2), zeros past its end.
fn fourOf(part: u32, row: u32, head: u32, quad: u32) -> vec4f {
  let at = (3u * row + part) * given.width + head * given.headWidth + 4u * quad;
  return within(vec4f(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]), quad);
}

fn fourOfG(row: u32, head: u32, quad: u32) -> vec4f {
  let at = row * given.width + head * given.headWidth + 4u * quad;
  return within(vec4f(g[at], g[at + 1u], g[at + 2u], g[at + 3u]), quad);
}

fn exponentials(x: vec4f) -> vec4f {
  return vec4f(exponential(x.x), exponential(x.y), exponential(x.z), exponential(x.w));
}

fn store(part: u32, row: u32, head: u32, quad: u32, four: vec4f) {
  let at = (3u * row + part) * given.width + head * given.headWidth + 4u * quad;
  let count = min(4u, given.headWidth - 4u * quad);
  for (var i = 0u; i < count; i++) {
    dqkv[at + i] = four[i];
  }
}

@compute @workgroup_size(32)
fn queries(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = (group.y * groups.x + group.x) * 32u + lane;
  if (unit >= given.units) {
    return;
  }
  let place = placeOf(unit);
  let head = place.head;
  let own = vec4u(place.first) + vec4u(0u, 1u, 2u, 3u);
  let end = min(place.first + 4u, place.end);
  let quads = (given.headWidth + 3u) / 4u;
  // [quad][row]; rows past the sequence's end are zeros.
  var query: array<vec4f, MOST_OF_FOUR>;
  var gradient: array<vec4f, MOST_OF_FOUR>;
  var total: array<vec4f, MOST_OF_FOUR>;
  // Of the other row, [quad].
  var columns: array<vec4f, MOST_QUADS>;
  var logs = vec4f(0.0);
  var means = vec4f(0.0);
  for (var row = place.first; row < end; row++) {
    let i = row - place.first;
    for (var quad = 0u; quad < quads; quad++) {
      query[4u * quad + i] = fourOf(0u, row, head, quad);
      gradient[4u * quad + i] = fourOfG(row, head, quad);
    }
    logs[i] = logsumexp[row * given.heads + head];
    means[i] = mean[row * given.heads + head];
  }
  for (var key = place.start; key < end; key++) {
    var score = vec4f(0.0);
    var through = vec4f(0.0);
    for (var quad = 0u; quad < quads; quad++) {
      let at = 4u * quad;
      let k = fourOf(1u, key, head, quad);
      let v = fourOf(2u, key, head, quad);
      columns[quad] = k;
      score += vec4f(dot(query[at], k), dot(query[at + 1u], k), dot(query[at + 2u], k), dot(query[at + 3u], k));
      through += vec4f(
        dot(gradient[at], v),
        dot(gradient[at + 1u], v),
        dot(gradient[at + 2u], v),
        dot(gradient[at + 3u], v),
      );
    }
    let weight = select(vec4f(0.0), exponentials(score * given.scale - logs), vec4u(key) <= own);
    let back = weight * (through - means) * given.scale;
    for (var quad = 0u; quad < quads; quad++) {
      let at = 4u * quad;
      total[at] += back.x * columns[quad];
      total[at + 1u] += back.y * columns[quad];
      total[at + 2u] += back.z * columns[quad];
      total[at + 3u] += back.w * columns[quad];
    }
  }
  for (var row = place.first; row < end; row++) {
    for (var quad = 0u; quad < quads; quad++) {
      store(0u, row, head, quad, total[4u * quad + row - place.first]);
    }
  }
}

@compute @workgroup_size(32)
fn keysAndValues(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = (group.y * groups.x + group.x) * 32u + lane;
  if (unit >= given.units) {
    return;
  }
  let place = placeOf(unit);
  let head = place.head;
  let own = vec4u(place.first) + vec4u(0u, 1u, 2u, 3u);
  let end = min(place.first + 4u, place.end);
  let quads = (given.headWidth + 3u) / 4u;
  // [quad][row]; rows past the sequence's end are zeros.
  var key: array<vec4f, MOST_OF_FOUR>;
  var value: array<vec4f, MOST_OF_FOUR>;
  var ofKey: array<vec4f, MOST_OF_FOUR>;
  var ofValue: array<vec4f, MOST_OF_FOUR>;
  // Of the other row, [quad].
  var columns: array<vec4f, MOST_QUADS>;
  var gradients: array<vec4f, MOST_QUADS>;
  for (var row = place.first; row < end; row++) {
    let i = row - place.first;
    for (var quad = 0u; quad < quads; quad++) {
      key[4u * quad + i] = fourOf(1u, row, head, quad);
      value[4u * quad + i] = fourOf(2u, row, head, quad);
    }
  }
  for (var query = place.first; query < place.end; query++) {
    var score = vec4f(0.0);
    var through = vec4f(0.0);
    for (var quad = 0u; quad < quads; quad++) {
      let at = 4u * quad;
      let q = fourOf(0u, query, head, quad);
      let back = fourOfG(query, head, quad);
      columns[quad] = q;
      gradients[quad] = back;
      score += vec4f(dot(key[at], q), dot(key[at + 1u], q), dot(key[at + 2u], q), dot(key[at + 3u], q));
      through += vec4f(
        dot(value[at], back),
        dot(value[at + 1u], back),
        dot(value[at + 2u], back),
        dot(value[at + 3u], back),
      );
    }
    let at = query * given.heads + head;
    let weight = select(vec4f(0.0), exponentials(score * given.scale - logsumexp[at]), own <= vec4u(query));
    let back = weight * (through - mean[at]) * given.scale;
    for (var quad = 0u; quad < quads; quad++) {
      let at = 4u * quad;
      ofKey[at] += back.x * columns[quad];
      ofKey[at + 1u] += back.y * columns[quad];
      ofKey[at + 2u] += back.z * columns[quad];
      ofKey[at + 3u] += back.w * columns[quad];
      ofValue[at] += weight.x * gradients[quad];
      ofValue[at + 1u] += weight.y * gradients[quad];
      ofValue[at + 2u] += weight.z * gradients[quad];
      ofValue[at + 3u] += weight.w * gradients[quad];
    }
  }
  for (var row = place.first; row < end; row++) {
    let i = row - place.first;
    for (var quad = 0u; quad < quads; quad++) {
      store(1u, row, head, quad, ofKey[4u * quad + i]);
      store(2u, row, head, quad, ofValue[4u * quad + i]);
    }
  }
}
