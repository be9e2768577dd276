// Arrays of a product as groups of four numbers: every row that is read along begins on such a group, and so
// does every row of the result. What lies past an array's end may be read (WebGPU keeps that harmless), not used.

@group(0) @binding(1) var<storage, read> a: array<vec4f>;
// Binding 2 holds B (quads_of_b.wgsl, stored_b.wgsl), 3 offsets, 4 an index, in kernels that have them.
@group(0) @binding(5) var<storage, read> bias: array<vec4f>;
@group(0) @binding(6) var<storage, read> factors: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> kept: array<vec4f>;

fn fourOfA(at: u32) -> vec4f {
  return a[at / 4u];
}

fn fourOfBias(at: u32) -> vec4f {
  return bias[at / 4u];
}

fn fourOfFactor(at: u32) -> vec4f {
  return factors[at / 4u];
}

// Stores the first `count` of four numbers: four, or none.
fn storeFour(at: u32, four: vec4f, count: u32) {
  if (count > 0u) {
    c[at / 4u] = four;
  }
}

fn keepFour(at: u32, four: vec4f, count: u32) {
  if (count > 0u) {
    kept[at / 4u] = four;
  }
}
