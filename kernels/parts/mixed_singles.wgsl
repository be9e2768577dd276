// Arrays of a product number by number, as in singles.wgsl, where some that are read hold 16-bit floats, two to a word.
// What is written has 32 bits: two invocations must not write one word, and rows may end in the middle of it.

override HALF_A: bool = false;
override HALF_B: bool = false;
override HALF_FACTOR: bool = false;

@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
// Binding 3 holds offsets, 4 an index, in kernels that have them.
@group(0) @binding(6) var<storage, read> factors: array<u32>;

// The number at `at` of a word that holds two.
fn widened(word: u32, at: u32) -> f32 {
  let both = unpack2x16float(word);
  return select(both.x, both.y, at % 2u == 1u);
}

fn oneOfA(at: u32) -> f32 {
  if (HALF_A) {
    return widened(a[at / 2u], at);
  }
  return bitcast<f32>(a[at]);
}

fn fourOfA(at: u32) -> vec4f {
  return vec4f(oneOfA(at), oneOfA(at + 1u), oneOfA(at + 2u), oneOfA(at + 3u));
}

fn oneOfB(at: u32) -> f32 {
  if (HALF_B) {
    return widened(b[at / 2u], at);
  }
  return bitcast<f32>(b[at]);
}

// Four numbers from (row, column) on, as B is stored.
fn fourOfB(p: Product, row: u32, column: u32) -> vec4f {
  let at = p.bBegin + row * p.bStride + column;
  return vec4f(oneOfB(at), oneOfB(at + 1u), oneOfB(at + 2u), oneOfB(at + 3u));
}

fn oneOfFactor(at: u32) -> f32 {
  if (HALF_FACTOR) {
    return widened(factors[at / 2u], at);
  }
  return bitcast<f32>(factors[at]);
}

fn fourOfFactor(at: u32) -> vec4f {
  return vec4f(oneOfFactor(at), oneOfFactor(at + 1u), oneOfFactor(at + 2u), oneOfFactor(at + 3u));
}
