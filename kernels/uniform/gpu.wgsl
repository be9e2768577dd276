// y[i] = the upper 24 bits of word i mod 2 of Threefry-2x32 block floor(i / 2), over 2^24; y [size]. The counter of block
// b is (b, 0). One invocation for a block; the last one may write one word past an odd size, inside y's memory.

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
  y[block] = draw(block, given.key0, given.key1);
}
