// Operands of a product number by number, for rows that do not split into groups of four. `valid` is how many of the four
// numbers from `at` on exist; the others are 0.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;

fn fourOfA(at: u32, valid: u32) -> vec4f {
  var four = vec4f(0.0);
  if (valid > 0u) {
    four.x = a[at];
  }
  if (valid > 1u) {
    four.y = a[at + 1u];
  }
  if (valid > 2u) {
    four.z = a[at + 2u];
  }
  if (valid > 3u) {
    four.w = a[at + 3u];
  }
  return four;
}

fn fourOfB(at: u32, valid: u32) -> vec4f {
  var four = vec4f(0.0);
  if (valid > 0u) {
    four.x = b[at];
  }
  if (valid > 1u) {
    four.y = b[at + 1u];
  }
  if (valid > 2u) {
    four.z = b[at + 2u];
  }
  if (valid > 3u) {
    four.w = b[at + 3u];
  }
  return four;
}

fn oneOfA(at: u32) -> f32 {
  return a[at];
}

fn oneOfB(at: u32) -> f32 {
  return b[at];
}

@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn storeFour(at: u32, four: vec4f, valid: u32) {
  for (var i = 0u; i < valid; i++) {
    c[at + i] = four[i];
  }
}
