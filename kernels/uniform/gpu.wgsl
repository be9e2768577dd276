// y[i] = the upper 24 bits of word i mod 2 of Threefry-2x32 block floor(i / 2), over 2^24; y [size]. The counter of block
// b is (b, 0). One invocation for a block; the last one may write one word past an odd size, inside y's memory.

struct Given {
  blocks: u32,
  key0: u32,
  key1: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read_write> y: array<vec2f>;

fn mixed(x: vec2u, by: u32) -> vec2u {
  let a = x.x + x.y;
  return vec2u(a, ((x.y << by) | (x.y >> (32u - by))) ^ a);
}

fn even(x: vec2u) -> vec2u {
  return mixed(mixed(mixed(mixed(x, 13u), 15u), 26u), 6u);
}

fn odd(x: vec2u) -> vec2u {
  return mixed(mixed(mixed(mixed(x, 17u), 29u), 16u), 24u);
}

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
  let k0 = given.key0;
  let k1 = given.key1;
  let k2 = 0x1bd11bdau ^ k0 ^ k1;
  var x = vec2u(block + k0, k1);
  x = even(x) + vec2u(k1, k2 + 1u);
  x = odd(x) + vec2u(k2, k0 + 2u);
  x = even(x) + vec2u(k0, k1 + 3u);
  x = odd(x) + vec2u(k1, k2 + 4u);
  x = even(x) + vec2u(k2, k0 + 5u);
  y[block] = vec2f(x >> vec2u(8u)) * 5.9604644775390625e-8;
}
