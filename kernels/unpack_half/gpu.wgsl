// y = numbers of 16-bit floats, two in each word, [size]. One invocation for four elements.

struct Given {
  quads: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> w: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// By bits: what a device makes of subnormal numbers is left to it.
fn numbers(half: vec4u) -> vec4f {
  let size = half & vec4u(0x7fffu);
  let normal = (size << vec4u(13u)) + vec4u(0x38000000u);
  let low = bitcast<vec4u>(vec4f(size) * 5.9604644775390625e-8);
  var bits = select(normal, low, size < vec4u(0x400u));
  bits = select(bits, (size << vec4u(13u)) | vec4u(0x7f800000u), size >= vec4u(0x7c00u));
  return bitcast<vec4f>(bits | ((half & vec4u(0x8000u)) << vec4u(16u)));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < given.quads) {
    let word = w[i].xxyy;
    y[i] = numbers(vec4u(word.x & 0xffffu, word.y >> 16u, word.z & 0xffffu, word.w >> 16u));
  }
}
