// A tile of a matrix product for hardware: 64 x 64 numbers of C by 64 invocations, 8 x 8 each in registers. Slices of
// A and B, 16 deep, go through workgroup memory (8 KiB), four numbers at a time. Loads of the next slice are not overlapped
// with arithmetic: several workgroups fit on a core, and one computes while another waits.
// The program adds fourOfA and fourOfB (quads.wgsl or singles.wgsl), `c`, and which tile of which product it wants.

override TRANSPOSE_A: bool;
override TRANSPOSE_B: bool;

const INVOCATIONS = 64u;
const TILE_ROWS = 64u;
const TILE_COLUMNS = 64u;
const DEPTH = 16u;

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

// [depth][group of four rows or columns]
var<workgroup> sliceA: array<vec4f, 256>;
var<workgroup> sliceB: array<vec4f, 256>;

fn upToFour(begin: u32, end: u32) -> u32 {
  return select(0u, min(4u, end - begin), begin < end);
}

fn loadSlices(p: Product, row: u32, column: u32, depth: u32, lane: u32) {
  for (var i = lane; i < 256u; i += INVOCATIONS) {
    if (TRANSPOSE_A) {
      let k = depth + i / 16u;
      let first = row + 4u * (i % 16u);
      let valid = select(0u, upToFour(first, p.rows), k < p.depth);
      sliceA[i] = fourOfA(p.aBegin + k * p.aStride + first, valid);
    } else {
      // Four depths of one row.
      let own = i / 4u;
      let k = depth + 4u * (i % 4u);
      let valid = select(0u, upToFour(k, p.depth), row + own < p.rows);
      let four = fourOfA(p.aBegin + (row + own) * p.aStride + k, valid);
      let at = 64u * (i % 4u) + own / 4u;
      sliceA[at][own % 4u] = four.x;
      sliceA[at + 16u][own % 4u] = four.y;
      sliceA[at + 32u][own % 4u] = four.z;
      sliceA[at + 48u][own % 4u] = four.w;
    }
    if (TRANSPOSE_B) {
      let own = i / 4u;
      let k = depth + 4u * (i % 4u);
      let valid = select(0u, upToFour(k, p.depth), column + own < p.columns);
      let four = fourOfB(p.bBegin + (column + own) * p.bStride + k, valid);
      let at = 64u * (i % 4u) + own / 4u;
      sliceB[at][own % 4u] = four.x;
      sliceB[at + 16u][own % 4u] = four.y;
      sliceB[at + 32u][own % 4u] = four.z;
      sliceB[at + 48u][own % 4u] = four.w;
    } else {
      let k = depth + i / 16u;
      let first = column + 4u * (i % 16u);
      let valid = select(0u, upToFour(first, p.columns), k < p.depth);
      sliceB[i] = fourOfB(p.bBegin + k * p.bStride + first, valid);
    }
  }
}

// Computes and stores the tile that begins at (row, column) of C. Every invocation must call it.
fn product(p: Product, row: u32, column: u32, lane: u32) {
  // Rows 4 y to 4 y + 3 and 32 + 4 y on, columns 4 x to 4 x + 3 and 32 + 4 x on: neighbours read neighbouring words.
  let y = lane / 8u;
  let x = lane % 8u;
  var sums: array<vec4f, 16>;
  for (var depth = 0u; depth < p.depth; depth += DEPTH) {
    loadSlices(p, row, column, depth, lane);
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let a0 = sliceA[16u * k + y];
      let a1 = sliceA[16u * k + 8u + y];
      let b0 = sliceB[16u * k + x];
      let b1 = sliceB[16u * k + 8u + x];
      sums[0] += a0.x * b0;
      sums[1] += a0.x * b1;
      sums[2] += a0.y * b0;
      sums[3] += a0.y * b1;
      sums[4] += a0.z * b0;
      sums[5] += a0.z * b1;
      sums[6] += a0.w * b0;
      sums[7] += a0.w * b1;
      sums[8] += a1.x * b0;
      sums[9] += a1.x * b1;
      sums[10] += a1.y * b0;
      sums[11] += a1.y * b1;
      sums[12] += a1.z * b0;
      sums[13] += a1.z * b1;
      sums[14] += a1.w * b0;
      sums[15] += a1.w * b1;
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 8u; i++) {
    let at = row + 32u * (i / 4u) + 4u * y + i % 4u;
    if (at < p.rows) {
      let left = column + 4u * x;
      storeFour(p.cBegin + at * p.columns + left, sums[2u * i], upToFour(left, p.columns));
      let right = left + 32u;
      storeFour(p.cBegin + at * p.columns + right, sums[2u * i + 1u], upToFour(right, p.columns));
    }
  }
}
