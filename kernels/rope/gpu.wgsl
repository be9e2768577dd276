// Turns entries i and i + half of each head of queries and keys by the angle of (position, i); values are copied.
// qkv and y [rows, 3 width]. Cosines and sines [length, half] come as a table, because WGSL's own are good to 2^-11 only.
// One invocation for a pair and a value of a row.

override INVERSE: bool;

struct Given {
  size: u32,
  width: u32,
  half: u32,
  length: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> turns: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let row = i / given.width;
  let pair = i % given.width;
  let turn = turns[(row % given.length) * given.half + pair % given.half];
  let sine = select(turn.y, -turn.y, INVERSE);
  let start = row * 3u * given.width;
  let at = start + pair + (pair / given.half) * given.half;
  let a = qkv[at];
  let b = qkv[at + given.half];
  y[at] = a * turn.x - b * sine;
  y[at + given.half] = b * turn.x + a * sine;
  let value = start + 2u * given.width + pair;
  y[value] = qkv[value];
}
