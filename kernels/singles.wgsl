// Operands and result of a product number by number, for rows that do not split into groups of four. What lies past an
// array's end may be read (WebGPU keeps that harmless), not used.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn fourOfA(at: u32) -> vec4f {
  return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]);
}

fn fourOfB(at: u32) -> vec4f {
  return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
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
