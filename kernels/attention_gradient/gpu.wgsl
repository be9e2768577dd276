// Gradients of attention's queries (`queries`), keys and values (`keysAndValues`), from weights made again as
// e^(q k scale - logsumexp) (Dao et al. 2022, arXiv:2205.14135, algorithm 4). qkv and dqkv [rows, 3 width], g [rows, width],
// logsumexp and mean [rows, heads]. With w the weight of query t for key s and b = w (g_t v_s - mean_t) scale:
// dq_t = sum over s of b k_s, dk_s = sum over t of b q_t, dv_s = sum over t of w g_t.
// A workgroup owns 8 rows of a head (queries, or keys with their values) and 64 of its columns. It goes through the other
// side 64 rows at a time, one an invocation; then an invocation owns a column of the result. Numbers of 8 rows stand in two
// vectors, so that all of them stay in registers.

struct Given {
  width: u32,
  headWidth: u32,
  heads: u32,
  length: u32,
  blocks: u32,
  slots: u32,
  units: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> logsumexp: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<f32>;

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
  head: u32,
  slot: u32,
}

// Numbers of 8 own rows.
struct Eight {
  low: vec4f,
  high: vec4f,
}

fn placeOf(unit: u32) -> Place {
  let block = unit / given.slots;
  let start = (block / given.blocks / given.heads) * given.length;
  let head = (block / given.blocks) % given.heads;
  return Place(start + (block % given.blocks) * OWN, start, start + given.length, head, unit % given.slots);
}

// Entry of q (part 0), k (1), v (2) or g (3), zero outside.
fn entry(part: u32, row: u32, end: u32, head: u32, column: u32) -> f32 {
  if (row >= end || column >= given.headWidth) {
    return 0.0;
  }
  let at = head * given.headWidth + column;
  if (part == 3u) {
    return g[row * given.width + at];
  }
  return qkv[row * 3u * given.width + part * given.width + at];
}

// Dot products of the own rows with the invocation's other row.
fn dots(ownPart: u32, otherPart: u32, place: Place, others: u32, lane: u32) -> Eight {
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var depth = 0u; depth < given.headWidth; depth += DEPTH) {
    workgroupBarrier();
    for (var i = lane; i < OWN * DEPTH; i += 64u) {
      let row = i / DEPTH;
      let value = entry(ownPart, place.first + row, place.end, place.head, depth + i % DEPTH);
      ownRows[2u * (i % DEPTH) + row / 4u][row % 4u] = value;
    }
    for (var i = lane; i < OTHERS * DEPTH; i += 64u) {
      let value = entry(otherPart, others + i / DEPTH, place.end, place.head, depth + i % DEPTH);
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
fn weightOf(query: u32, key: u32, place: Place, score: f32) -> f32 {
  if (key > query || query >= place.end) {
    return 0.0;
  }
  return exponential(score * given.scale - logsumexp[query * given.heads + place.head]);
}

fn meanOf(query: u32, place: Place) -> f32 {
  if (query >= place.end) {
    return 0.0;
  }
  return mean[query * given.heads + place.head];
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
  let place = placeOf(unit);
  let q = place.first;
  let end = min(q + OWN, place.end);
  let column = place.slot * 64u + lane;
  let lowMean = vec4f(meanOf(q, place), meanOf(q + 1u, place), meanOf(q + 2u, place), meanOf(q + 3u, place));
  let highMean = vec4f(meanOf(q + 4u, place), meanOf(q + 5u, place), meanOf(q + 6u, place), meanOf(q + 7u, place));
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var others = place.start; others < end; others += OTHERS) {
    let score = dots(0u, 1u, place, others, lane);
    let through = dots(3u, 2u, place, others, lane);
    let key = others + lane;
    let lowWeight = vec4f(
      weightOf(q, key, place, score.low.x),
      weightOf(q + 1u, key, place, score.low.y),
      weightOf(q + 2u, key, place, score.low.z),
      weightOf(q + 3u, key, place, score.low.w),
    );
    let highWeight = vec4f(
      weightOf(q + 4u, key, place, score.high.x),
      weightOf(q + 5u, key, place, score.high.y),
      weightOf(q + 6u, key, place, score.high.z),
      weightOf(q + 7u, key, place, score.high.w),
    );
    back[2u * lane] = lowWeight * (through.low - lowMean) * given.scale;
    back[2u * lane + 1u] = highWeight * (through.high - highMean) * given.scale;
    workgroupBarrier();
    let shown = min(OTHERS, end - others);
    for (var other = 0u; other < shown; other++) {
      let value = entry(1u, others + other, place.end, place.head, column);
      low += back[2u * other] * value;
      high += back[2u * other + 1u] * value;
    }
    workgroupBarrier();
  }
  if (column >= given.headWidth) {
    return;
  }
  for (var row = 0u; q + row < end; row++) {
    let at = (q + row) * 3u * given.width + place.head * given.headWidth + column;
    dqkv[at] = select(low, high, row >= 4u)[row % 4u];
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
  let place = placeOf(unit);
  let k = place.first;
  let end = min(k + OWN, place.end);
  let column = place.slot * 64u + lane;
  var lowKey = vec4f(0.0);
  var highKey = vec4f(0.0);
  var lowValue = vec4f(0.0);
  var highValue = vec4f(0.0);
  for (var others = k; others < place.end; others += OTHERS) {
    let score = dots(1u, 0u, place, others, lane);
    let through = dots(2u, 3u, place, others, lane);
    let query = others + lane;
    let mean = meanOf(query, place);
    let lowWeight = vec4f(
      weightOf(query, k, place, score.low.x),
      weightOf(query, k + 1u, place, score.low.y),
      weightOf(query, k + 2u, place, score.low.z),
      weightOf(query, k + 3u, place, score.low.w),
    );
    let highWeight = vec4f(
      weightOf(query, k + 4u, place, score.high.x),
      weightOf(query, k + 5u, place, score.high.y),
      weightOf(query, k + 6u, place, score.high.z),
      weightOf(query, k + 7u, place, score.high.w),
    );
    weight[2u * lane] = lowWeight;
    weight[2u * lane + 1u] = highWeight;
    back[2u * lane] = lowWeight * (through.low - mean) * given.scale;
    back[2u * lane + 1u] = highWeight * (through.high - mean) * given.scale;
    workgroupBarrier();
    let shown = min(OTHERS, place.end - others);
    for (var other = 0u; other < shown; other++) {
      let queryEntry = entry(0u, others + other, place.end, place.head, column);
      let gradient = entry(3u, others + other, place.end, place.head, column);
      lowKey += back[2u * other] * queryEntry;
      highKey += back[2u * other + 1u] * queryEntry;
      lowValue += weight[2u * other] * gradient;
      highValue += weight[2u * other + 1u] * gradient;
    }
    workgroupBarrier();
  }
  if (column >= given.headWidth) {
    return;
  }
  for (var row = 0u; k + row < end; row++) {
    let at = (k + row) * 3u * given.width + given.width + place.head * given.headWidth + column;
    dqkv[at] = select(lowKey, highKey, row >= 4u)[row % 4u];
    dqkv[at + given.width] = select(lowValue, highValue, row >= 4u)[row % 4u];
  }
}
