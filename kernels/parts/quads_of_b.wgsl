// B by fours of 32-bit floats, for products whose other arrays are read by quads.wgsl.

@group(0) @binding(2) var<storage, read> b: array<vec4f>;

// Four numbers from (row, column) on, as B is stored.
fn fourOfB(p: Product, row: u32, column: u32) -> vec4f {
  return b[(p.bBegin + row * p.bStride + column) / 4u];
}
