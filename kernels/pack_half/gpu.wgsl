// w = x rounded to 16-bit floats, two in each word, [ceil(size / 2)]. One invocation for four elements.

struct Given {
  size: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> w: array<vec2u>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (4u * i >= given.size) {
    return;
  }
  let place = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
  w[i] = packHalves(select(vec4f(0.0), x[i], place < vec4u(given.size)));
}
