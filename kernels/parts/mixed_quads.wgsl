// Arrays of a product as groups of four numbers, as in quads.wgsl, where some hold 16-bit floats: four of them are two
// words, four of 32 bits are two pairs of words. Numbers are widened as they are read and summed in 32 bits.

override HALF_A: bool = false;
override HALF_B: bool = false;
override HALF_FACTOR: bool = false;
override HALF_C: bool = false;

@group(0) @binding(1) var<storage, read> a: array<vec2u>;
@group(0) @binding(2) var<storage, read> b: array<vec2u>;
// Binding 3 holds offsets, 4 an index, in kernels that have them.
@group(0) @binding(5) var<storage, read> bias: array<vec4f>;
@group(0) @binding(6) var<storage, read> factors: array<vec2u>;
@group(0) @binding(7) var<storage, read_write> c: array<vec2u>;
@group(0) @binding(8) var<storage, read_write> kept: array<vec2u>;

// WGSL's own widening is exact.
fn widened(words: vec2u) -> vec4f {
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn fourOfA(at: u32) -> vec4f {
  if (HALF_A) {
    return widened(a[at / 4u]);
  }
  return bitcast<vec4f>(vec4u(a[at / 2u], a[at / 2u + 1u]));
}

// Four numbers from (row, column) on, as B is stored.
fn fourOfB(p: Product, row: u32, column: u32) -> vec4f {
  let at = p.bBegin + row * p.bStride + column;
  if (HALF_B) {
    return widened(b[at / 4u]);
  }
  return bitcast<vec4f>(vec4u(b[at / 2u], b[at / 2u + 1u]));
}

fn fourOfBias(at: u32) -> vec4f {
  return bias[at / 4u];
}

fn fourOfFactor(at: u32) -> vec4f {
  if (HALF_FACTOR) {
    return widened(factors[at / 4u]);
  }
  return bitcast<vec4f>(vec4u(factors[at / 2u], factors[at / 2u + 1u]));
}

// Stores the first `count` of four numbers: four, or none.
fn storeFour(at: u32, four: vec4f, count: u32) {
  if (count == 0u) {
    return;
  }
  if (HALF_C) {
    c[at / 4u] = packHalves(four);
  } else {
    let words = bitcast<vec4u>(four);
    c[at / 2u] = words.xy;
    c[at / 2u + 1u] = words.zw;
  }
}

fn keepFour(at: u32, four: vec4f, count: u32) {
  if (count == 0u) {
    return;
  }
  if (HALF_C) {
    kept[at / 4u] = packHalves(four);
  } else {
    let words = bitcast<vec4u>(four);
    kept[at / 2u] = words.xy;
    kept[at / 2u + 1u] = words.zw;
  }
}
