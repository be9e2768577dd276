// What tiles of a matrix product share. Numbers are held as 4 x 4 blocks, a matrix whose column i is row i of the block:
// the product of blocks A B is then `b * a`, and all indices are constants, so that blocks live in registers.

override TRANSPOSE_A: bool;
override TRANSPOSE_B: bool;

// C[i, j] = sum over k < depth of A[i, k] B[k, j] for i < rows, j < columns; B and C begin somewhere in their array, A
// at a row of it (counted as it is stored). `group` is which of a kernel's products this is.
struct Product {
  rows: u32,
  columns: u32,
  depth: u32,
  aFirst: u32,
  aStride: u32,
  bBegin: u32,
  bStride: u32,
  cBegin: u32,
  group: u32,
}

fn upToFour(begin: u32, end: u32) -> u32 {
  return select(0u, min(4u, end - begin), begin < end);
}

// The first `count` of four numbers, zeros behind them.
fn first(count: u32, four: vec4f) -> vec4f {
  return select(vec4f(0.0), four, vec4u(0u, 1u, 2u, 3u) < vec4u(count));
}

fn storeBlock(p: Product, row: u32, column: u32, block: mat4x4f) {
  let count = upToFour(column, p.columns);
  let at = p.cBegin + row * p.columns + column;
  if (row < p.rows) {
    storeFour(at, finished(p, row, column, block[0]), count);
  }
  if (row + 1u < p.rows) {
    storeFour(at + p.columns, finished(p, row + 1u, column, block[1]), count);
  }
  if (row + 2u < p.rows) {
    storeFour(at + 2u * p.columns, finished(p, row + 2u, column, block[2]), count);
  }
  if (row + 3u < p.rows) {
    storeFour(at + 3u * p.columns, finished(p, row + 3u, column, block[3]), count);
  }
}
