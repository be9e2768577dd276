// A tile of a matrix product for adapters that compute on the CPU: 16 x 128 numbers of C by 16 invocations, 16 x 8 each.
// There loads cost far more than arithmetic and barriers most of all, so nothing goes through workgroup memory, and rows
// depend on the workgroup alone: what is read of A is one value for all invocations of a vector.
// The program adds fourOfA, fourOfB, oneOfA, oneOfB (quads.wgsl or singles.wgsl), `c`, and which tile it wants.

override TRANSPOSE_A: bool;
override TRANSPOSE_B: bool;

const INVOCATIONS = 16u;
const TILE_ROWS = 16u;
const TILE_COLUMNS = 128u;

// C[i, j] = sum over k < depth of A[i, k] B[k, j] for i < rows, j < columns; each begins somewhere in its array.
struct Product {
  rows: u32,
  columns: u32,
  depth: u32,
  aBegin: u32,
  aStride: u32,
  bBegin: u32,
  bStride: u32,
  cBegin: u32,
}

fn upToFour(begin: u32, end: u32) -> u32 {
  return select(0u, min(4u, end - begin), begin < end);
}

// Four numbers of row k of B from column j on.
fn rowOfB(p: Product, k: u32, j: u32, valid: u32) -> vec4f {
  if (!TRANSPOSE_B) {
    return fourOfB(p.bBegin + k * p.bStride + j, valid);
  }
  var four = vec4f(0.0);
  let at = p.bBegin + j * p.bStride + k;
  if (valid > 0u) {
    four.x = oneOfB(at);
  }
  if (valid > 1u) {
    four.y = oneOfB(at + p.bStride);
  }
  if (valid > 2u) {
    four.z = oneOfB(at + 2u * p.bStride);
  }
  if (valid > 3u) {
    four.w = oneOfB(at + 3u * p.bStride);
  }
  return four;
}

// Computes and stores the tile that begins at (row, column) of C. Every invocation must call it.
fn product(p: Product, row: u32, column: u32, lane: u32) {
  let left = column + 8u * lane;
  let right = left + 4u;
  let leftValid = upToFour(left, p.columns);
  let rightValid = upToFour(right, p.columns);
  if (leftValid == 0u) {
    return;
  }
  // Rows past the last read the last one again; nothing is stored of them.
  let lastRow = p.rows - 1u;
  var sums: array<vec4f, 32>;
  let whole = p.depth & ~3u;
  for (var k = 0u; k < whole; k += 4u) {
    var b: array<vec4f, 8>;
    if (TRANSPOSE_B) {
      // Four depths of each column, turned.
      var columns: array<vec4f, 8>;
      for (var j = 0u; j < 8u; j++) {
        let at = min(left + j, p.columns - 1u);
        columns[j] = fourOfB(p.bBegin + at * p.bStride + k, 4u);
      }
      b[0] = vec4f(columns[0].x, columns[1].x, columns[2].x, columns[3].x);
      b[1] = vec4f(columns[4].x, columns[5].x, columns[6].x, columns[7].x);
      b[2] = vec4f(columns[0].y, columns[1].y, columns[2].y, columns[3].y);
      b[3] = vec4f(columns[4].y, columns[5].y, columns[6].y, columns[7].y);
      b[4] = vec4f(columns[0].z, columns[1].z, columns[2].z, columns[3].z);
      b[5] = vec4f(columns[4].z, columns[5].z, columns[6].z, columns[7].z);
      b[6] = vec4f(columns[0].w, columns[1].w, columns[2].w, columns[3].w);
      b[7] = vec4f(columns[4].w, columns[5].w, columns[6].w, columns[7].w);
    } else {
      for (var d = 0u; d < 4u; d++) {
        let at = p.bBegin + (k + d) * p.bStride;
        b[2u * d] = fourOfB(at + left, leftValid);
        b[2u * d + 1u] = fourOfB(at + right, rightValid);
      }
    }
    if (TRANSPOSE_A) {
      for (var quad = 0u; quad < 4u; quad++) {
        let first = row + 4u * quad;
        let valid = upToFour(first, p.rows);
        for (var d = 0u; d < 4u; d++) {
          let four = fourOfA(p.aBegin + (k + d) * p.aStride + first, valid);
          let l = b[2u * d];
          let r = b[2u * d + 1u];
          sums[8u * quad] += four.x * l;
          sums[8u * quad + 1u] += four.x * r;
          sums[8u * quad + 2u] += four.y * l;
          sums[8u * quad + 3u] += four.y * r;
          sums[8u * quad + 4u] += four.z * l;
          sums[8u * quad + 5u] += four.z * r;
          sums[8u * quad + 6u] += four.w * l;
          sums[8u * quad + 7u] += four.w * r;
        }
      }
    } else {
      for (var i = 0u; i < TILE_ROWS; i++) {
        let four = fourOfA(p.aBegin + min(row + i, lastRow) * p.aStride + k, 4u);
        sums[2u * i] += four.x * b[0] + four.y * b[2] + four.z * b[4] + four.w * b[6];
        sums[2u * i + 1u] += four.x * b[1] + four.y * b[3] + four.z * b[5] + four.w * b[7];
      }
    }
  }
  for (var k = whole; k < p.depth; k++) {
    let l = rowOfB(p, k, left, leftValid);
    let r = rowOfB(p, k, right, rightValid);
    for (var i = 0u; i < TILE_ROWS; i++) {
      let at = min(row + i, lastRow);
      let one = oneOfA(p.aBegin + select(at * p.aStride + k, k * p.aStride + at, TRANSPOSE_A));
      sums[2u * i] += one * l;
      sums[2u * i + 1u] += one * r;
    }
  }
  for (var i = 0u; i < TILE_ROWS; i++) {
    if (row + i < p.rows) {
      let at = p.cBegin + (row + i) * p.columns;
      storeFour(at + left, sums[2u * i], leftValid);
      storeFour(at + right, sums[2u * i + 1u], rightValid);
    }
  }
}
