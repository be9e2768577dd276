// Arrays of a product number by number, for rows that do not split into groups of four. What lies past an
// array's end may be read (WebGPU keeps that harmless), not used.

@group(0) @binding(1) var<storage, read> a: array<f32>;
// Binding 2 holds B (singles_of_b.wgsl, stored_b.wgsl), 3 offsets, 4 an index, in kernels that have them.
@group(0) @binding(6) var<storage, read> factors: array<f32>;

fn fourOfA(at: u32) -> vec4f {
  return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]);
}

fn fourOfFactor(at: u32) -> vec4f {
  return vec4f(factors[at], factors[at + 1u], factors[at + 2u], factors[at + 3u]);
}
