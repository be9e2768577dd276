// Arrays of a product number by number, for rows that do not split into groups of four. What lies past an
// array's end may be read (WebGPU keeps that harmless), not used.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
// Binding 3 holds offsets, 4 an index, in kernels that have them.
@group(0) @binding(6) var<storage, read> factors: array<f32>;

fn fourOfA(at: u32) -> vec4f {
  return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]);
}

fn fourOfB(at: u32) -> vec4f {
  return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
}

fn fourOfFactor(at: u32) -> vec4f {
  return vec4f(factors[at], factors[at + 1u], factors[at + 2u], factors[at + 3u]);
}
