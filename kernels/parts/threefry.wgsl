// Threefry-2x32 with 20 rounds (see threefry.ts) as uniform numbers from 0 to 1 - 2^-24 in steps of 2^-24.

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

// Draws 2 block and 2 block + 1 of a key: the upper 24 bits of the block's words. The counter is (block, 0).
fn draw(block: u32, k0: u32, k1: u32) -> vec2f {
  let k2 = 0x1bd11bdau ^ k0 ^ k1;
  var x = vec2u(block + k0, k1);
  x = even(x) + vec2u(k1, k2 + 1u);
  x = odd(x) + vec2u(k2, k0 + 2u);
  x = even(x) + vec2u(k0, k1 + 3u);
  x = odd(x) + vec2u(k1, k2 + 4u);
  x = even(x) + vec2u(k2, k0 + 5u);
  return vec2f(x >> vec2u(8u)) * 5.9604644775390625e-8;
}
