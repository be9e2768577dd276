// Gradients of attention's queries (`queries`), keys and values (`keysAndValues`), from weights made again as
// e^((q k - first) scale - second) (Dao et al. 2022, arXiv:2205.14135, algorithm 4). q, k and v are rows of heads side by side, from
// a column of their array on, and so are their gradients; offset [sequences + 1], g [rows, width], facts (normalizer and mean)
// [rows, heads]. With w the weight of query t for key s and b = w (g_t v_s - mean_t) scale:
// dq_t = sum over s of b k_s, dk_s = sum over t of b q_t, dv_s = sum over t of w g_t.
// A workgroup owns 8 rows of a head (queries, or keys with their values) and 64 of its columns. It goes through the other
// side 64 rows at a time, one an invocation; then an invocation owns a column of the result. Numbers of 8 rows stand in two
// vectors, so that all of them stay in registers.

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

const OWN = 8u;
const OTHERS = 64u;
const DEPTH = 16u;
// One more, so that rows of neighbours lie in different banks.
const STRIDE = 17u;

// [depth][half of the own rows], [other row][depth], [other row][half of the own rows]
var<workgroup> ownRows: array<vec4f, 32>;
var<workgroup> otherRows: array<f32, 1088>;
var<workgroup> weight: array<vec4f, 128>;
var<workgroup> back: array<vec4f, 128>;

struct Place {
  // First of the own rows, first and end of the sequence's, counted in all rows.
  first: u32,
  start: u32,
  end: u32,
  // Of queries, or of keys and values.
  head: u32,
  slot: u32,
}

// Numbers of 8 own rows.
struct Eight {
  low: vec4f,
  high: vec4f,
}

fn placeOf(unit: u32, heads: u32) -> Place {
  let block = unit / given.slots;
  let sequence = block / given.blocks / heads;
  let start = offset[sequence];
  let head = (block / given.blocks) % heads;
  let first = start + (block % given.blocks) * OWN;
  return Place(first, start, offset[sequence + 1u], head, unit % given.slots);
}

// Where a row of a head begins in q (part 0), k (1), v (2) and g (3).
fn beginOf(part: u32, row: u32, head: u32) -> u32 {
  switch (part) {
    case 0u: {
      return row * given.strideQ + head * given.headWidth;
    }
    case 1u: {
      return row * given.strideK + given.keyColumn + (head / given.share) * given.headWidth;
    }
    case 2u: {
      return row * given.strideV + given.valueColumn + (head / given.share) * given.headWidth;
    }
    default: {
      return (row * given.heads + head) * given.headWidth;
    }
  }
}

// Entry of a part, of a head of queries and what it shares, zero outside.
fn entry(part: u32, row: u32, end: u32, head: u32, column: u32) -> f32 {
  if (row >= end || column >= given.headWidth) {
    return 0.0;
  }
  let at = beginOf(part, row, head) + column;
  switch (part) {
    case 0u: {
      return q[at];
    }
    case 1u: {
      return k[at];
    }
    case 2u: {
      return v[at];
    }
    default: {
      return g[at];
    }
  }
}

// Dot products of the own rows with the invocation's other row.
fn dots(ownPart: u32, otherPart: u32, place: Place, head: u32, others: u32, lane: u32) -> Eight {
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var depth = 0u; depth < given.headWidth; depth += DEPTH) {
    workgroupBarrier();
    for (var i = lane; i < OWN * DEPTH; i += 64u) {
      let row = i / DEPTH;
      let value = entry(ownPart, place.first + row, place.end, head, depth + i % DEPTH);
      ownRows[2u * (i % DEPTH) + row / 4u][row % 4u] = value;
    }
    for (var i = lane; i < OTHERS * DEPTH; i += 64u) {
      let value = entry(otherPart, others + i / DEPTH, place.end, head, depth + i % DEPTH);
      otherRows[(i / DEPTH) * STRIDE + i % DEPTH] = value;
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) {
      let other = otherRows[lane * STRIDE + d];
      low += ownRows[2u * d] * other;
      high += ownRows[2u * d + 1u] * other;
    }
  }
  return Eight(low, high);
}

// The weight of a query for a key, and the factor on (through - mean) of what goes back; zero where the query does not
// see the key.
fn weightOf(query: u32, key: u32, end: u32, head: u32, score: f32) -> f32 {
  if (key > query || query >= end) {
    return 0.0;
  }
  let normalizer = facts[query * given.heads + head].xy;
  return exponential((score - normalizer.x) * given.scale - normalizer.y);
}

fn meanOf(query: u32, end: u32, head: u32) -> f32 {
  if (query >= end) {
    return 0.0;
  }
  return facts[query * given.heads + head].z;
}

@compute @workgroup_size(64)
fn queries(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = group.y * groups.x + group.x;
  if (unit >= given.units) {
    return;
  }
  let place = placeOf(unit, given.heads);
  if (place.first >= place.end) {
    return;
  }
  let head = place.head;
  let own = place.first;
  let end = min(own + OWN, place.end);
  let column = place.slot * 64u + lane;
  let lowMean = vec4f(
    meanOf(own, place.end, head),
    meanOf(own + 1u, place.end, head),
    meanOf(own + 2u, place.end, head),
    meanOf(own + 3u, place.end, head),
  );
  let highMean = vec4f(
    meanOf(own + 4u, place.end, head),
    meanOf(own + 5u, place.end, head),
    meanOf(own + 6u, place.end, head),
    meanOf(own + 7u, place.end, head),
  );
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var others = place.start; others < end; others += OTHERS) {
    let score = dots(0u, 1u, place, head, others, lane);
    let through = dots(3u, 2u, place, head, others, lane);
    let key = others + lane;
    let lowWeight = vec4f(
      weightOf(own, key, place.end, head, score.low.x),
      weightOf(own + 1u, key, place.end, head, score.low.y),
      weightOf(own + 2u, key, place.end, head, score.low.z),
      weightOf(own + 3u, key, place.end, head, score.low.w),
    );
    let highWeight = vec4f(
      weightOf(own + 4u, key, place.end, head, score.high.x),
      weightOf(own + 5u, key, place.end, head, score.high.y),
      weightOf(own + 6u, key, place.end, head, score.high.z),
      weightOf(own + 7u, key, place.end, head, score.high.w),
    );
    back[2u * lane] = lowWeight * (through.low - lowMean) * given.scale;
    back[2u * lane + 1u] = highWeight * (through.high - highMean) * given.scale;
    workgroupBarrier();
    let shown = min(OTHERS, end - others);
    for (var other = 0u; other < shown; other++) {
      let value = entry(1u, others + other, place.end, head, column);
      low += back[2u * other] * value;
      high += back[2u * other + 1u] * value;
    }
    workgroupBarrier();
  }
  if (column >= given.headWidth) {
    return;
  }
  for (var row = 0u; own + row < end; row++) {
    storeQuery(beginOf(0u, own + row, head) + column, select(low, high, row >= 4u)[row % 4u]);
  }
}

@compute @workgroup_size(64)
fn keysAndValues(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = group.y * groups.x + group.x;
  if (unit >= given.units) {
    return;
  }
  let place = placeOf(unit, given.heads / given.share);
  if (place.first >= place.end) {
    return;
  }
  let own = place.first;
  let end = min(own + OWN, place.end);
  let column = place.slot * 64u + lane;
  // The first of the heads of queries that share these keys and values.
  let leader = place.head * given.share;
  var lowKey = vec4f(0.0);
  var highKey = vec4f(0.0);
  var lowValue = vec4f(0.0);
  var highValue = vec4f(0.0);
  for (var head = leader; head < leader + given.share; head++) {
    for (var others = own; others < place.end; others += OTHERS) {
      let score = dots(1u, 0u, place, head, others, lane);
      let through = dots(2u, 3u, place, head, others, lane);
      let query = others + lane;
      let mean = meanOf(query, place.end, head);
      let lowWeight = vec4f(
        weightOf(query, own, place.end, head, score.low.x),
        weightOf(query, own + 1u, place.end, head, score.low.y),
        weightOf(query, own + 2u, place.end, head, score.low.z),
        weightOf(query, own + 3u, place.end, head, score.low.w),
      );
      let highWeight = vec4f(
        weightOf(query, own + 4u, place.end, head, score.high.x),
        weightOf(query, own + 5u, place.end, head, score.high.y),
        weightOf(query, own + 6u, place.end, head, score.high.z),
        weightOf(query, own + 7u, place.end, head, score.high.w),
      );
      weight[2u * lane] = lowWeight;
      weight[2u * lane + 1u] = highWeight;
      back[2u * lane] = lowWeight * (through.low - mean) * given.scale;
      back[2u * lane + 1u] = highWeight * (through.high - mean) * given.scale;
      workgroupBarrier();
      let shown = min(OTHERS, place.end - others);
      for (var other = 0u; other < shown; other++) {
        let queryEntry = entry(0u, others + other, place.end, head, column);
        let gradientEntry = entry(3u, others + other, place.end, head, column);
        lowKey += back[2u * other] * queryEntry;
        highKey += back[2u * other + 1u] * queryEntry;
        lowValue += weight[2u * other] * gradientEntry;
        highValue += weight[2u * other + 1u] * gradientEntry;
      }
      workgroupBarrier();
    }
  }
  if (column >= given.headWidth) {
    return;
  }
  for (var row = 0u; own + row < end; row++) {
    storeKey(beginOf(1u, own + row, leader) + column, select(lowKey, highKey, row >= 4u)[row % 4u]);
    storeValue(beginOf(2u, own + row, leader) + column, select(lowValue, highValue, row >= 4u)[row % 4u]);
  }
}
