// The frame of programs that draw: one invocation for two elements, those of a block of threefry.wgsl; the last one may
// write one word past an odd size, inside its array's memory. The program's own file declares arrays of vec2f and says
// what becomes of two draws (`place`).

struct Given {
  blocks: u32,
  key0: u32,
  key1: u32,
  // Of kernels that have them.
  scale: f32,
  shift: f32,
}
@group(0) @binding(0) var<uniform> given: Given;

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
  place(block, draw(block, given.key0, given.key1));
}
