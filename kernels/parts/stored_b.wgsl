// B kept in fewer bits (weight_formats.ts): four codes from (row, column) on, decoded as they are read. B is stored with its
// matrix's outputs as rows; `p.bBegin` and `p.bStride` count words of 32 bits, and scales follow the last row's codes.

override FORMAT: i32 = 0;

@group(0) @binding(2) var<storage, read> b: array<u32>;

// The scale of an exponent's code (E8M0): 255 is none, 0 is 2^-127.
fn e8m0(code: u32) -> f32 {
  return bitcast<f32>(select(select(code << 23u, 0x00400000u, code == 0u), 0x7fc00000u, code == 255u));
}

fn scaleOfB(p: Product, row: u32, column: u32) -> f32 {
  let scales = p.bBegin + given.scalesAt;
  if (FORMAT == 4) {
    return bitcast<f32>(b[scales + (row / 128u) * given.scaleColumns + column / 128u]);
  }
  let at = row * given.scaleColumns + column / 32u;
  if (FORMAT == 5) {
    return e8m0((b[scales + at / 4u] >> (8u * (at % 4u))) & 255u);
  }
  return bitcast<f32>(b[scales + at]);
}

// E4M3 in the lowest bytes of four words.
fn eighths(codes: vec4u) -> vec4f {
  let size = codes & vec4u(0x7fu);
  // 2^120 puts the exponent right; numbers below 2^-6 are counted, since adapters may take them for 0.
  let normal = bitcast<vec4f>((size << vec4u(20u)) + vec4u(120u << 23u));
  let value = select(normal, vec4f(size) * 0.001953125, size < vec4u(8u));
  let bits = select(bitcast<vec4u>(value), vec4u(0x7fc00000u), size == vec4u(0x7fu));
  return bitcast<vec4f>(bits | ((codes & vec4u(0x80u)) << vec4u(24u)));
}

// Twice what an E2M1 code is worth.
fn doubleFourths(codes: vec4u) -> vec4f {
  let exponent = (codes >> vec4u(1u)) & vec4u(3u);
  let fraction = codes & vec4u(1u);
  let size = select((vec4u(2u) + fraction) << (max(exponent, vec4u(1u)) - vec4u(1u)), fraction, exponent == vec4u(0u));
  return select(vec4f(size), -vec4f(size), (codes & vec4u(8u)) != vec4u(0u));
}

fn fourOfB(p: Product, row: u32, column: u32) -> vec4f {
  let line = p.bBegin + row * p.bStride;
  if (FORMAT == 0) {
    let at = line + column / 2u;
    return vec4f(unpack2x16float(b[at]), unpack2x16float(b[at + 1u]));
  }
  if (FORMAT == 1) {
    let at = line + column / 2u;
    let words = vec2u(b[at], b[at + 1u]);
    return bitcast<vec4f>(vec4u(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
  }
  let scale = scaleOfB(p, row, column);
  if (FORMAT == 2 || FORMAT == 4) {
    let bytes = (vec4u(b[line + column / 4u]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
    if (FORMAT == 4) {
      return eighths(bytes) * scale;
    }
    return vec4f((bitcast<vec4i>(bytes) << vec4u(24u)) >> vec4u(24u)) * scale;
  }
  let shifts = vec4u(0u, 4u, 8u, 12u) + vec4u(4u * (column % 8u));
  let codes = (vec4u(b[line + column / 8u]) >> shifts) & vec4u(15u);
  if (FORMAT == 3) {
    return (vec4f(codes) - 8.0) * scale;
  }
  return doubleFourths(codes) * (0.5 * scale);
}
