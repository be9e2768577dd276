// noise[i] = draw[i] scale + shift and y[i] = x[i] noise[i], [size]. One invocation for two elements, those of a block of
// threefry.wgsl; the last one may write one word past an odd size, inside its array's memory.

struct Given {
  blocks: u32,
  key0: u32,
  key1: u32,
  scale: f32,
  shift: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> noise: array<vec2f>;

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
  let factor = draw(block, given.key0, given.key1) * given.scale + given.shift;
  noise[block] = factor;
  y[block] = x[block] * factor;
}
