// Gradients of attention as in gpu.wgsl, for adapters that compute on the CPU, where barriers and loads cost most: the same
// arrays and formulas. One invocation for four rows of a head (queries, or keys with their values), one row of the other
// side after the other.

struct Given {
  headWidth: u32,
  heads: u32,
  // Query heads that share a head of keys and values.
  share: u32,
  strideQ: u32,
  strideK: u32,
  strideV: u32,
  keyColumn: u32,
  valueColumn: u32,
  // Of the longest sequence.
  blocks: u32,
  slots: u32,
  units: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> offset: array<u32>;
@group(0) @binding(5) var<storage, read> g: array<f32>;
@group(0) @binding(6) var<storage, read> facts: array<vec4f>;

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

fn placeOf(unit: u32, heads: u32) -> Place {
  let sequence = unit / given.blocks / heads;
  let start = offset[sequence];
  let head = unit / given.blocks % heads;
  return Place(start + 4u * (unit % given.blocks), start, offset[sequence + 1u], head);
}

fn within(four: vec4f, quad: u32) -> vec4f {
  return select(vec4f(0.0), four, vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u) < vec4u(given.headWidth));
}

// Where columns 4 quad to 4 quad + 3 of a head of queries, and of what it shares, begin.
fn atQ(row: u32, head: u32, quad: u32) -> u32 {
  return row * given.strideQ + head * given.headWidth + 4u * quad;
}

fn atK(row: u32, head: u32, quad: u32) -> u32 {
  return row * given.strideK + given.keyColumn + (head / given.share) * given.headWidth + 4u * quad;
}

fn atV(row: u32, head: u32, quad: u32) -> u32 {
  return row * given.strideV + given.valueColumn + (head / given.share) * given.headWidth + 4u * quad;
}

// Those columns, zeros past the head's end.
fn fourOfQ(row: u32, head: u32, quad: u32) -> vec4f {
  let at = atQ(row, head, quad);
  return within(vec4f(q[at], q[at + 1u], q[at + 2u], q[at + 3u]), quad);
}

fn fourOfK(row: u32, head: u32, quad: u32) -> vec4f {
  let at = atK(row, head, quad);
  return within(vec4f(k[at], k[at + 1u], k[at + 2u], k[at + 3u]), quad);
}

fn fourOfV(row: u32, head: u32, quad: u32) -> vec4f {
  let at = atV(row, head, quad);
  return within(vec4f(v[at], v[at + 1u], v[at + 2u], v[at + 3u]), quad);
}

fn fourOfG(row: u32, head: u32, quad: u32) -> vec4f {
  let at = (row * given.heads + head) * given.headWidth + 4u * quad;
  return within(vec4f(g[at], g[at + 1u], g[at + 2u], g[at + 3u]), quad);
}

fn exponentials(x: vec4f) -> vec4f {
  return vec4f(exponential(x.x), exponential(x.y), exponential(x.z), exponential(x.w));
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
  let place = placeOf(unit, given.heads);
  if (place.first >= place.end) {
    return;
  }
  let head = place.head;
  let own = vec4u(place.first) + vec4u(0u, 1u, 2u, 3u);
  let end = min(place.first + 4u, place.end);
  let quads = (given.headWidth + 3u) / 4u;
  // [quad][row]; rows past the sequence's end are zeros.
  var query: array<vec4f, MOST_OF_FOUR>;
  var gradientOf: array<vec4f, MOST_OF_FOUR>;
  var total: array<vec4f, MOST_OF_FOUR>;
  // Of the other row, [quad].
  var columns: array<vec4f, MOST_QUADS>;
  var shifts = vec4f(0.0);
  var logs = vec4f(0.0);
  var means = vec4f(0.0);
  for (var row = place.first; row < end; row++) {
    let i = row - place.first;
    for (var quad = 0u; quad < quads; quad++) {
      query[4u * quad + i] = fourOfQ(row, head, quad);
      gradientOf[4u * quad + i] = fourOfG(row, head, quad);
    }
    let ofHead = facts[row * given.heads + head];
    shifts[i] = ofHead.x;
    logs[i] = ofHead.y;
    means[i] = ofHead.z;
  }
  for (var key = place.start; key < end; key++) {
    var score = vec4f(0.0);
    var through = vec4f(0.0);
    for (var quad = 0u; quad < quads; quad++) {
      let at = 4u * quad;
      let ofKey = fourOfK(key, head, quad);
      let ofValue = fourOfV(key, head, quad);
      columns[quad] = ofKey;
      score += vec4f(
        dot(query[at], ofKey),
        dot(query[at + 1u], ofKey),
        dot(query[at + 2u], ofKey),
        dot(query[at + 3u], ofKey),
      );
      through += vec4f(
        dot(gradientOf[at], ofValue),
        dot(gradientOf[at + 1u], ofValue),
        dot(gradientOf[at + 2u], ofValue),
        dot(gradientOf[at + 3u], ofValue),
      );
    }
    let weight = select(vec4f(0.0), exponentials((score - shifts) * given.scale - logs), vec4u(key) <= own);
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
      let count = min(4u, given.headWidth - 4u * quad);
      for (var i = 0u; i < count; i++) {
        storeQuery(atQ(row, head, quad) + i, total[4u * quad + row - place.first][i]);
      }
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
  let place = placeOf(unit, given.heads / given.share);
  if (place.first >= place.end) {
    return;
  }
  // The first of the heads of queries that share these keys and values.
  let leader = place.head * given.share;
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
      key[4u * quad + i] = fourOfK(row, leader, quad);
      value[4u * quad + i] = fourOfV(row, leader, quad);
    }
  }
  for (var head = leader; head < leader + given.share; head++) {
    for (var query = place.first; query < place.end; query++) {
      var score = vec4f(0.0);
      var through = vec4f(0.0);
      for (var quad = 0u; quad < quads; quad++) {
        let at = 4u * quad;
        let ofQuery = fourOfQ(query, head, quad);
        let back = fourOfG(query, head, quad);
        columns[quad] = ofQuery;
        gradients[quad] = back;
        score += vec4f(
          dot(key[at], ofQuery),
          dot(key[at + 1u], ofQuery),
          dot(key[at + 2u], ofQuery),
          dot(key[at + 3u], ofQuery),
        );
        through += vec4f(
          dot(value[at], back),
          dot(value[at + 1u], back),
          dot(value[at + 2u], back),
          dot(value[at + 3u], back),
        );
      }
      let ofHead = facts[query * given.heads + head];
      let weight = select(vec4f(0.0), exponentials((score - ofHead.x) * given.scale - ofHead.y), own <= vec4u(query));
      let back = weight * (through - ofHead.z) * given.scale;
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
  }
  for (var row = place.first; row < end; row++) {
    let i = row - place.first;
    for (var quad = 0u; quad < quads; quad++) {
      let count = min(4u, given.headWidth - 4u * quad);
      for (var column = 0u; column < count; column++) {
        storeKey(atK(row, leader, quad) + column, ofKey[4u * quad + i][column]);
        storeValue(atV(row, leader, quad) + column, ofValue[4u * quad + i][column]);
      }
    }
  }
}
