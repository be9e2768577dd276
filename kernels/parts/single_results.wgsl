// What singles.wgsl and mixed_singles.wgsl have in common: the arrays of a product that hold 32 bits whatever the others
// hold. Two invocations must not write one word, and rows may end in the middle of it.

@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> c: array<f32>;
@group(0) @binding(8) var<storage, read_write> kept: array<f32>;

fn fourOfBias(at: u32) -> vec4f {
  return vec4f(bias[at], bias[at + 1u], bias[at + 2u], bias[at + 3u]);
}

// Stores the first `count` of four numbers.
fn storeFour(at: u32, four: vec4f, count: u32) {
  if (count > 0u) {
    c[at] = four.x;
  }
  if (count > 1u) {
    c[at + 1u] = four.y;
  }
  if (count > 2u) {
    c[at + 2u] = four.z;
  }
  if (count > 3u) {
    c[at + 3u] = four.w;
  }
}

fn keepFour(at: u32, four: vec4f, count: u32) {
  if (count > 0u) {
    kept[at] = four.x;
  }
  if (count > 1u) {
    kept[at + 1u] = four.y;
  }
  if (count > 2u) {
    kept[at + 2u] = four.z;
  }
  if (count > 3u) {
    kept[at + 3u] = four.w;
  }
}
