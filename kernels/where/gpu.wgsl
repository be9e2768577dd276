// c = a where the mask is not 0, b elsewhere, [size]; words are copied as they are. In a mask of floats -0 is 0 too.
// One invocation for four elements.

override FLOAT_MASK: bool;

struct Given {
  quads: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> mask: array<vec4u>;
@group(0) @binding(2) var<storage, read> a: array<vec4u>;
@group(0) @binding(3) var<storage, read> b: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4u>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < given.quads) {
    let bits = mask[i] & vec4u(select(0xffffffffu, 0x7fffffffu, FLOAT_MASK));
    c[i] = select(b[i], a[i], bits != vec4u(0u));
  }
}
