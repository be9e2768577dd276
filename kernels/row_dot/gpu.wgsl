// y[n] = dot product of a[indexA[n]] and b[indexB[n]], 0 where an index is outside; a [countA, width], b [countB, width].
// A workgroup takes 4 pairs: 16 invocations a pair, each every 16th entry, joined in workgroup memory.

struct Given {
  pairs: u32,
  width: u32,
  countA: u32,
  countB: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> indexA: array<i32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> indexB: array<i32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(16, 4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let n = (group.y * groups.x + group.x) * 4u + lane.y;
  var part = 0.0;
  if (n < given.pairs) {
    let rowA = u32(indexA[n]);
    let rowB = u32(indexB[n]);
    if (rowA < given.countA && rowB < given.countB) {
      for (var column = lane.x; column < given.width; column += 16u) {
        part += a[rowA * given.width + column] * b[rowB * given.width + column];
      }
    }
  }
  let place = lane.y * 16u + lane.x;
  parts[place] = part;
  for (var width = 8u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane.x < width) {
      parts[place] += parts[place + width];
    }
  }
  if (lane.x == 0u && n < given.pairs) {
    y[n] = parts[place];
  }
}
