// o = softmax(q k^T scale) v over each row's past in its sequence, and the softmax's normalizer. q, k and v are rows of heads
// side by side, from a column of their array on; offset [sequences + 1], o [rows, width], normalizer [rows, heads].
// A workgroup takes 8 queries of a head and 64 columns of its values: 64 keys at a time, one an invocation, with the running
// maximum and sum of Dao et al. 2022 (arXiv:2205.14135, algorithm 1); then an invocation owns a column of the result.
// Numbers of 8 queries stand in two vectors, so that all of them stay in registers.

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
  // Keys before each sequence's queries.
  past: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> offset: array<u32>;
@group(0) @binding(5) var<storage, read_write> o: array<f32>;
@group(0) @binding(6) var<storage, read_write> normalizer: array<vec2f>;

const QUERIES = 8u;
const KEYS = 64u;
const DEPTH = 16u;
// One more, so that keys of neighbours lie in different banks.
const STRIDE = 17u;
const HIDDEN = -3e38;

// [depth][half of the queries], [key][depth], [key][half of the queries]
var<workgroup> queryTile: array<vec4f, 32>;
var<workgroup> keyTile: array<f32, 1088>;
var<workgroup> weight: array<vec4f, 128>;
// [eighth of the keys][half of the queries]
var<workgroup> partial: array<vec4f, 16>;

fn exponentials(x: vec4f) -> vec4f {
  return vec4f(exponential(x.x), exponential(x.y), exponential(x.z), exponential(x.w));
}

fn logarithms(x: vec4f) -> vec4f {
  return vec4f(logarithm(x.x), logarithm(x.y), logarithm(x.z), logarithm(x.w));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = group.y * groups.x + group.x;
  if (unit >= given.units) {
    return;
  }
  let slot = unit % given.slots;
  let first = (unit / given.slots % given.blocks) * QUERIES;
  let head = (unit / given.slots / given.blocks) % given.heads;
  let place = unit / given.slots / given.blocks / given.heads;
  let sequence = offset[place];
  let length = offset[place + 1u] - sequence;
  if (first >= length) {
    return;
  }
  let queries = head * given.headWidth;
  let keys = given.keyColumn + (head / given.share) * given.headWidth;
  let values = given.valueColumn + (head / given.share) * given.headWidth;
  // Of queries, and of the keys that they see; where those of the sequence begin.
  let end = min(first + QUERIES, length);
  let keysEnd = given.past + end;
  let keysFrom = sequence + place * given.past;
  let column = slot * 64u + lane;
  let ahead = vec4u(0u, 1u, 2u, 3u);

  var lowMost = vec4f(HIDDEN);
  var highMost = vec4f(HIDDEN);
  var lowSum = vec4f(0.0);
  var highSum = vec4f(0.0);
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var start = 0u; start < keysEnd; start += KEYS) {
    var lowScore = vec4f(0.0);
    var highScore = vec4f(0.0);
    for (var depth = 0u; depth < given.headWidth; depth += DEPTH) {
      for (var i = lane; i < QUERIES * DEPTH; i += 64u) {
        let query = i / DEPTH;
        let at = depth + i % DEPTH;
        var value = 0.0;
        if (first + query < length && at < given.headWidth) {
          value = q[(sequence + first + query) * given.strideQ + queries + at];
        }
        queryTile[2u * (i % DEPTH) + query / 4u][query % 4u] = value;
      }
      for (var i = lane; i < KEYS * DEPTH; i += 64u) {
        let row = start + i / DEPTH;
        let at = depth + i % DEPTH;
        var value = 0.0;
        if (row < keysEnd && at < given.headWidth) {
          value = k[(keysFrom + row) * given.strideK + keys + at];
        }
        keyTile[(i / DEPTH) * STRIDE + i % DEPTH] = value;
      }
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) {
        let key = keyTile[lane * STRIDE + d];
        lowScore += queryTile[2u * d] * key;
        highScore += queryTile[2u * d + 1u] * key;
      }
      workgroupBarrier();
    }
    let seen = vec4u(start + lane) <= vec4u(given.past + first) + ahead;
    let highSeen = vec4u(start + lane) <= vec4u(given.past + first + 4u) + ahead;
    lowScore = select(vec4f(HIDDEN), lowScore, seen);
    highScore = select(vec4f(HIDDEN), highScore, highSeen);

    // Largest scores: of an eighth of the keys by 16 invocations, then of all by all.
    weight[2u * lane] = lowScore;
    weight[2u * lane + 1u] = highScore;
    workgroupBarrier();
    if (lane < 16u) {
      var most = vec4f(HIDDEN);
      for (var key = 0u; key < 8u; key++) {
        most = max(most, weight[2u * (8u * (lane / 2u) + key) + lane % 2u]);
      }
      partial[lane] = most;
    }
    workgroupBarrier();
    var newLow = lowMost;
    var newHigh = highMost;
    for (var eighth = 0u; eighth < 8u; eighth++) {
      newLow = max(newLow, partial[2u * eighth]);
      newHigh = max(newHigh, partial[2u * eighth + 1u]);
    }
    let lowFactor = exponentials((lowMost - newLow) * given.scale);
    let highFactor = exponentials((highMost - newHigh) * given.scale);
    lowMost = newLow;
    highMost = newHigh;
    weight[2u * lane] = exponentials((lowScore - lowMost) * given.scale);
    weight[2u * lane + 1u] = exponentials((highScore - highMost) * given.scale);
    workgroupBarrier();

    lowSum *= lowFactor;
    highSum *= highFactor;
    low *= lowFactor;
    high *= highFactor;
    let shown = min(KEYS, keysEnd - start);
    for (var key = 0u; key < shown; key++) {
      let lowWeight = weight[2u * key];
      let highWeight = weight[2u * key + 1u];
      lowSum += lowWeight;
      highSum += highWeight;
      var value = 0.0;
      if (column < given.headWidth) {
        value = v[(keysFrom + start + key) * given.strideV + values + column];
      }
      low += lowWeight * value;
      high += highWeight * value;
    }
    workgroupBarrier();
  }

  low /= lowSum;
  high /= highSum;
  let lowLog = logarithms(lowSum);
  let highLog = logarithms(highSum);
  for (var query = 0u; first + query < end; query++) {
    let row = sequence + first + query;
    if (column < given.headWidth) {
      o[row * given.heads * given.headWidth + queries + column] = select(low, high, query >= 4u)[query % 4u];
    }
    if (column == 0u) {
      let most = select(lowMost, highMost, query >= 4u)[query % 4u];
      let logOfSum = select(lowLog, highLog, query >= 4u)[query % 4u];
      normalizer[row * given.heads + head] = normalizerOf(most, logOfSum, most * given.scale + logOfSum);
    }
  }
}
