// o = softmax(q k^T scale) v over each row's past in its sequence, and the softmax's logsumexp. qkv [rows, 3 width] with
// heads side by side, o [rows, width], logsumexp [rows, heads].
// A workgroup takes 8 queries of a head: 64 keys at a time, one an invocation, through workgroup memory, with the running
// maximum and sum of Dao et al. 2022 (arXiv:2205.14135, algorithm 1). Then an invocation owns SLOTS columns of the result.

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
@group(0) @binding(2) var<storage, read_write> o: array<f32>;
@group(0) @binding(3) var<storage, read_write> logsumexp: array<f32>;

const QUERIES = 8u;
const KEYS = 64u;
const DEPTH = 16u;
// One more, so that keys of neighbours lie in different banks.
const STRIDE = 17u;
const HIDDEN = -3e38;

var<workgroup> queryTile: array<f32, 136>;
var<workgroup> keyTile: array<f32, 1088>;
var<workgroup> weight: array<f32, 512>;
var<workgroup> partial: array<f32, 64>;
var<workgroup> ofQuery: array<f32, QUERIES>;

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
  let first = (unit % given.blocks) * QUERIES;
  let head = (unit / given.blocks) % given.heads;
  let sequence = (unit / given.blocks / given.heads) * given.length;
  let stride = 3u * given.width;
  let queries = head * given.headWidth;
  let keys = given.width + queries;
  let values = given.width + keys;
  let end = min(first + QUERIES, given.length);

  // Invocation `lane` helps with the sums of query lane / 8.
  let query = lane / 8u;
  let part = lane % 8u;
  var largest = HIDDEN;
  var sum = 0.0;
  var result: array<array<f32, QUERIES>, 4>;
  for (var start = 0u; start < end; start += KEYS) {
    var score = array<f32, QUERIES>();
    for (var depth = 0u; depth < given.headWidth; depth += DEPTH) {
      for (var i = lane; i < QUERIES * DEPTH; i += 64u) {
        let row = first + i / DEPTH;
        let column = depth + i % DEPTH;
        var value = 0.0;
        if (row < given.length && column < given.headWidth) {
          value = qkv[(sequence + row) * stride + queries + column];
        }
        queryTile[(i / DEPTH) * STRIDE + i % DEPTH] = value;
      }
      for (var i = lane; i < KEYS * DEPTH; i += 64u) {
        let row = start + i / DEPTH;
        let column = depth + i % DEPTH;
        var value = 0.0;
        if (row < end && column < given.headWidth) {
          value = qkv[(sequence + row) * stride + keys + column];
        }
        keyTile[(i / DEPTH) * STRIDE + i % DEPTH] = value;
      }
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) {
        let key = keyTile[lane * STRIDE + d];
        for (var q = 0u; q < QUERIES; q++) {
          score[q] += queryTile[q * STRIDE + d] * key;
        }
      }
      workgroupBarrier();
    }
    for (var q = 0u; q < QUERIES; q++) {
      weight[q * KEYS + lane] = select(HIDDEN, score[q] * given.scale, start + lane <= first + q);
    }
    workgroupBarrier();
    var most = HIDDEN;
    for (var key = part; key < KEYS; key += 8u) {
      most = max(most, weight[query * KEYS + key]);
    }
    partial[lane] = most;
    workgroupBarrier();
    var newLargest = largest;
    for (var i = 0u; i < 8u; i++) {
      newLargest = max(newLargest, partial[query * 8u + i]);
    }
    let factor = exponential(largest - newLargest);
    largest = newLargest;
    workgroupBarrier();
    var ownSum = 0.0;
    for (var key = part; key < KEYS; key += 8u) {
      let at = query * KEYS + key;
      let e = exponential(weight[at] - largest);
      weight[at] = e;
      ownSum += e;
    }
    partial[lane] = ownSum;
    if (part == 0u) {
      ofQuery[query] = factor;
    }
    workgroupBarrier();
    sum *= factor;
    for (var i = 0u; i < 8u; i++) {
      sum += partial[query * 8u + i];
    }
    let shown = min(KEYS, end - start);
    for (var slot = 0u; slot < SLOTS; slot++) {
      for (var q = 0u; q < QUERIES; q++) {
        result[slot][q] *= ofQuery[q];
      }
      let column = slot * 64u + lane;
      if (column < given.headWidth) {
        for (var key = 0u; key < shown; key++) {
          let value = qkv[(sequence + start + key) * stride + values + column];
          for (var q = 0u; q < QUERIES; q++) {
            result[slot][q] += weight[q * KEYS + key] * value;
          }
        }
      }
    }
    workgroupBarrier();
  }
  if (part == 0u) {
    ofQuery[query] = sum;
    if (first + query < end) {
      logsumexp[(sequence + first + query) * given.heads + head] = largest + logarithm(sum);
    }
  }
  workgroupBarrier();
  for (var slot = 0u; slot < SLOTS; slot++) {
    let column = slot * 64u + lane;
    for (var q = 0u; q < QUERIES; q++) {
      if (column < given.headWidth && first + q < end) {
        o[(sequence + first + q) * given.width + queries + column] = result[slot][q] / ofQuery[q];
      }
    }
  }
}
