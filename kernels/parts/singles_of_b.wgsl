// B number by number, for products whose other arrays are read by singles.wgsl.

@group(0) @binding(2) var<storage, read> b: array<f32>;

// Four numbers from (row, column) on, as B is stored.
fn fourOfB(p: Product, row: u32, column: u32) -> vec4f {
  let at = p.bBegin + row * p.bStride + column;
  return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
}
