// Gradients of attention's queries (`queries`), keys and values (`keysAndValues`), from weights made again as
// e^(q k scale - logsumexp) (Dao et al. 2022, arXiv:2205.14135, algorithm 4). qkv and dqkv [rows, 3 width], g [rows, width],
// logsumexp and mean [rows, heads]. With w the weight of query t for key s and b = w (g_t v_s - mean_t) scale:
// dq_t = sum over s of b k_s, dk_s = sum over t of b q_t, dv_s = sum over t of w g_t.
// A workgroup owns 8 rows of a head (queries, or keys with their values) and goes through the other side 64 rows at a time,
// one an invocation; then an invocation owns SLOTS columns of the result.

override SLOTS: u32;

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

const OWN = 8u;
const OTHERS = 64u;
const DEPTH = 16u;
// One more, so that rows of neighbours lie in different banks.
const STRIDE = 17u;

var<workgroup> ownRows: array<f32, 136>;
var<workgroup> otherRows: array<f32, 1088>;
var<workgroup> weight: array<f32, 512>;
var<workgroup> back: array<f32, 512>;

struct Place {
  // First of the own rows and end of the sequence's, counted in all rows.
  first: u32,
  start: u32,
  end: u32,
  head: u32,
}

fn placeOf(unit: u32) -> Place {
  let start = (unit / given.blocks / given.heads) * given.length;
  let first = start + (unit % given.blocks) * OWN;
  return Place(first, start, start + given.length, (unit / given.blocks) % given.heads);
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
fn dots(ownPart: u32, otherPart: u32, place: Place, others: u32, lane: u32) -> array<f32, OWN> {
  var sums: array<f32, OWN>;
  for (var depth = 0u; depth < given.headWidth; depth += DEPTH) {
    workgroupBarrier();
    for (var i = lane; i < OWN * DEPTH; i += 64u) {
      let value = entry(ownPart, place.first + i / DEPTH, place.end, place.head, depth + i % DEPTH);
      ownRows[(i / DEPTH) * STRIDE + i % DEPTH] = value;
    }
    for (var i = lane; i < OTHERS * DEPTH; i += 64u) {
      let value = entry(otherPart, others + i / DEPTH, place.end, place.head, depth + i % DEPTH);
      otherRows[(i / DEPTH) * STRIDE + i % DEPTH] = value;
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) {
      let other = otherRows[lane * STRIDE + d];
      for (var row = 0u; row < OWN; row++) {
        sums[row] += ownRows[row * STRIDE + d] * other;
      }
    }
  }
  return sums;
}

// Writes the weight and what goes back through it for (query, key) at place `at`.
fn weigh(at: u32, query: u32, key: u32, place: Place, score: f32, through: f32) {
  var w = 0.0;
  var b = 0.0;
  if (key <= query && query < place.end) {
    let row = query * given.heads + place.head;
    w = exponential(score * given.scale - logsumexp[row]);
    b = w * (through - mean[row]) * given.scale;
  }
  weight[at] = w;
  back[at] = b;
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
  let end = min(place.first + OWN, place.end);
  var result: array<array<f32, OWN>, 4>;
  for (var others = place.start; others < end; others += OTHERS) {
    let score = dots(0u, 1u, place, others, lane);
    let through = dots(3u, 2u, place, others, lane);
    for (var row = 0u; row < OWN; row++) {
      weigh(row * OTHERS + lane, place.first + row, others + lane, place, score[row], through[row]);
    }
    workgroupBarrier();
    let shown = min(OTHERS, end - others);
    for (var slot = 0u; slot < SLOTS; slot++) {
      let column = slot * 64u + lane;
      if (column < given.headWidth) {
        for (var other = 0u; other < shown; other++) {
          let key = entry(1u, others + other, place.end, place.head, column);
          for (var row = 0u; row < OWN; row++) {
            result[slot][row] += back[row * OTHERS + other] * key;
          }
        }
      }
    }
    workgroupBarrier();
  }
  for (var slot = 0u; slot < SLOTS; slot++) {
    let column = slot * 64u + lane;
    for (var row = 0u; row < OWN; row++) {
      if (column < given.headWidth && place.first + row < end) {
        dqkv[(place.first + row) * 3u * given.width + place.head * given.headWidth + column] = result[slot][row];
      }
    }
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
  let end = min(place.first + OWN, place.end);
  var keys: array<array<f32, OWN>, 4>;
  var values: array<array<f32, OWN>, 4>;
  for (var others = place.first; others < place.end; others += OTHERS) {
    let score = dots(1u, 0u, place, others, lane);
    let through = dots(2u, 3u, place, others, lane);
    for (var row = 0u; row < OWN; row++) {
      weigh(row * OTHERS + lane, others + lane, place.first + row, place, score[row], through[row]);
    }
    workgroupBarrier();
    let shown = min(OTHERS, place.end - others);
    for (var slot = 0u; slot < SLOTS; slot++) {
      let column = slot * 64u + lane;
      if (column < given.headWidth) {
        for (var other = 0u; other < shown; other++) {
          let query = entry(0u, others + other, place.end, place.head, column);
          let gradient = entry(3u, others + other, place.end, place.head, column);
          for (var row = 0u; row < OWN; row++) {
            keys[slot][row] += back[row * OTHERS + other] * query;
            values[slot][row] += weight[row * OTHERS + other] * gradient;
          }
        }
      }
    }
    workgroupBarrier();
  }
  for (var slot = 0u; slot < SLOTS; slot++) {
    let column = slot * 64u + lane;
    for (var row = 0u; row < OWN; row++) {
      if (column < given.headWidth && place.first + row < end) {
        let at = (place.first + row) * 3u * given.width + given.width + place.head * given.headWidth + column;
        dqkv[at] = keys[slot][row];
        dqkv[at + given.width] = values[slot][row];
      }
    }
  }
}
