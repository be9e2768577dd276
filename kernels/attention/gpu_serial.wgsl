// o = softmax(q k^T scale) v over each row's past in its sequence, and the softmax's normalizer, for adapters that compute
// on the CPU, where barriers and loads cost most: the same arrays as in gpu.wgsl.
// One invocation for four queries of a head, key by key, with the running maximum and sum of Dao et al. 2022
// (arXiv:2205.14135, algorithm 1).

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

// Columns of the widest head by fours, of four rows.
const MOST_OF_FOUR = 32u;
const HIDDEN = -3e38;

// The first columns of four that lie in a head, zeros past its end.
fn within(quad: u32, four: vec4f) -> vec4f {
  return select(vec4f(0.0), four, vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u) < vec4u(given.headWidth));
}

// Columns 4 quad to 4 quad + 3 of a head that begins at `begin`.
fn fourOfQ(begin: u32, quad: u32) -> vec4f {
  let at = begin + 4u * quad;
  return within(quad, vec4f(q[at], q[at + 1u], q[at + 2u], q[at + 3u]));
}

fn fourOfK(begin: u32, quad: u32) -> vec4f {
  let at = begin + 4u * quad;
  return within(quad, vec4f(k[at], k[at + 1u], k[at + 2u], k[at + 3u]));
}

fn fourOfV(begin: u32, quad: u32) -> vec4f {
  let at = begin + 4u * quad;
  return within(quad, vec4f(v[at], v[at + 1u], v[at + 2u], v[at + 3u]));
}

fn exponentials(x: vec4f) -> vec4f {
  return vec4f(exponential(x.x), exponential(x.y), exponential(x.z), exponential(x.w));
}

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let unit = (group.y * groups.x + group.x) * 32u + lane;
  if (unit >= given.units) {
    return;
  }
  let first = 4u * (unit % given.blocks);
  let head = unit / given.blocks % given.heads;
  let place = unit / given.blocks / given.heads;
  let sequence = offset[place];
  let length = offset[place + 1u] - sequence;
  if (first >= length) {
    return;
  }
  let startQ = sequence * given.strideQ + head * given.headWidth;
  let keysFrom = sequence + place * given.past;
  let startK = keysFrom * given.strideK + given.keyColumn + (head / given.share) * given.headWidth;
  let startV = keysFrom * given.strideV + given.valueColumn + (head / given.share) * given.headWidth;
  let queries = vec4u(given.past + first) + vec4u(0u, 1u, 2u, 3u);
  let end = min(first + 4u, length);
  let quads = (given.headWidth + 3u) / 4u;

  // [quad][query]; queries past the sequence's end are zeros.
  var query: array<vec4f, MOST_OF_FOUR>;
  var total: array<vec4f, MOST_OF_FOUR>;
  for (var row = first; row < end; row++) {
    for (var quad = 0u; quad < quads; quad++) {
      query[4u * quad + row - first] = fourOfQ(startQ + row * given.strideQ, quad);
    }
  }
  var most = vec4f(HIDDEN);
  var sum = vec4f(0.0);
  for (var key = 0u; key < given.past + end; key++) {
    var score = vec4f(0.0);
    for (var quad = 0u; quad < quads; quad++) {
      let four = fourOfK(startK + key * given.strideK, quad);
      let at = 4u * quad;
      score += vec4f(
        dot(query[at], four),
        dot(query[at + 1u], four),
        dot(query[at + 2u], four),
        dot(query[at + 3u], four),
      );
    }
    score = select(vec4f(HIDDEN), score, vec4u(key) <= queries);
    let newMost = max(most, score);
    let factor = exponentials((most - newMost) * given.scale);
    let weight = exponentials((score - newMost) * given.scale);
    most = newMost;
    sum = sum * factor + weight;
    for (var quad = 0u; quad < quads; quad++) {
      let four = fourOfV(startV + key * given.strideV, quad);
      let at = 4u * quad;
      total[at] = total[at] * factor.x + weight.x * four;
      total[at + 1u] = total[at + 1u] * factor.y + weight.y * four;
      total[at + 2u] = total[at + 2u] * factor.z + weight.z * four;
      total[at + 3u] = total[at + 3u] * factor.w + weight.w * four;
    }
  }

  for (var row = first; row < end; row++) {
    let i = row - first;
    let logOfSum = logarithm(sum[i]);
    normalizer[(sequence + row) * given.heads + head] = normalizerOf(most[i], logOfSum, most[i] * given.scale + logOfSum);
    for (var column = 0u; column < given.headWidth; column++) {
      let at = ((sequence + row) * given.heads + head) * given.headWidth + column;
      o[at] = total[4u * (column / 4u) + i][column % 4u] / sum[i];
    }
  }
}
