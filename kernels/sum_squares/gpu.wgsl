// y[b] = sum of x[i]^2 over block b of x [size], y[0] with `before`, the sum of the arrays so far, if there are any. One
// workgroup a block; their sums are summed by sum_last's program.

override GOES_ON: bool;

struct Given {
  size: u32,
  blocks: u32,
  elementsPerBlock: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> before: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  if (block >= given.blocks) {
    return;
  }
  let first = block * given.elementsPerBlock;
  let end = min(first + given.elementsPerBlock, given.size);
  // Four sums keep four loads under way, and each adds a quarter of the terms.
  var parts = vec4f(0.0);
  for (var i = first + lane; i < end; i += 4u * LANES) {
    let second = i + LANES;
    let third = i + 2u * LANES;
    let fourth = i + 3u * LANES;
    parts.x += x[i] * x[i];
    if (second < end) {
      parts.y += x[second] * x[second];
    }
    if (third < end) {
      parts.z += x[third] * x[third];
    }
    if (fourth < end) {
      parts.w += x[fourth] * x[fourth];
    }
  }
  let sum = sumOfLanes((parts.x + parts.y) + (parts.z + parts.w), lane);
  if (lane == 0u) {
    if (GOES_ON && block == 0u) {
      y[0] = sum + before[0];
    } else {
      y[block] = sum;
    }
  }
}
