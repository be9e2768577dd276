// y[i] = -log(-log(draw[i])), draws at least 2^-25; y [size]. One invocation for two elements, those of a block of
// threefry.wgsl; the last one may write one word past an odd size, inside y's memory.

struct Given {
  blocks: u32,
  key0: u32,
  key1: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read_write> y: array<vec2f>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = (group.y * groups.x + group.x) * 256u + lane;
  if (block >= given.blocks) {
    return;
  }
  let inside = max(draw(block, given.key0, given.key1), vec2f(2.98023223876953125e-8));
  y[block] = vec2f(-logarithm(-logarithm(inside.x)), -logarithm(-logarithm(inside.y)));
}
