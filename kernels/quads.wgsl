// Operands and result of a product as groups of four numbers: rows of both operands and of the result begin on such a
// group. `valid` is how many of the four numbers exist: all or none.

@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;

fn fourOfA(at: u32, valid: u32) -> vec4f {
  if (valid == 0u) {
    return vec4f(0.0);
  }
  return a[at / 4u];
}

fn fourOfB(at: u32, valid: u32) -> vec4f {
  if (valid == 0u) {
    return vec4f(0.0);
  }
  return b[at / 4u];
}

fn oneOfA(at: u32) -> f32 {
  return a[at / 4u][at % 4u];
}

fn oneOfB(at: u32) -> f32 {
  return b[at / 4u][at % 4u];
}

@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;

fn storeFour(at: u32, four: vec4f, valid: u32) {
  if (valid > 0u) {
    c[at / 4u] = four;
  }
}
