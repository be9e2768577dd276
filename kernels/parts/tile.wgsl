// A tile of a matrix product for hardware: 64 x 64 numbers of C by 64 invocations, 8 x 8 each in registers. Slices of
// A and B, 16 deep, go through workgroup memory (8 KiB), four numbers at a time. Loads of the next slice are not overlapped
// with arithmetic: several workgroups fit on a core, and one computes while another waits.
// A program is block.wgsl, this, quads.wgsl or singles.wgsl, plain.wgsl or what a kernel has in its place, and which tile
// of which product it wants.

const INVOCATIONS = 64u;
const TILE_ROWS = 64u;
const TILE_COLUMNS = 64u;
const DEPTH = 16u;

// [depth][group of four rows or columns]
var<workgroup> sliceA: array<vec4f, 256>;
var<workgroup> sliceB: array<vec4f, 256>;

// Rows and columns past the edge get any numbers, nothing is stored of them; depths past the edge must get zeros.
// `rows` says where the rows begin that this invocation reads, unless they lie along the depth.
fn loadSlices(p: Product, rows: vec4u, row: u32, column: u32, depth: u32, lane: u32) {
  for (var turn = 0u; turn < 4u; turn++) {
    let i = turn * INVOCATIONS + lane;
    // Where rows lie along the depth, four depths of row i / 4; else four rows of depth i / 16.
    let own = i / 4u;
    let along = depth + 4u * (i % 4u);
    let across = depth + i / 16u;
    let turned = 64u * (i % 4u) + own / 4u;
    if (TRANSPOSE_A) {
      let four = fourOfA(rowOfA(p, across) + row + 4u * (i % 16u));
      sliceA[i] = first(select(0u, 4u, across < p.depth && hasRow(p, across)), four);
    } else {
      let four = first(upToFour(along, p.depth), fourOfA(rows[turn] + along));
      sliceA[turned][own % 4u] = four.x;
      sliceA[turned + 16u][own % 4u] = four.y;
      sliceA[turned + 32u][own % 4u] = four.z;
      sliceA[turned + 48u][own % 4u] = four.w;
    }
    if (TRANSPOSE_B) {
      let four = first(upToFour(along, p.depth), fourOfB(p, column + own, along));
      sliceB[turned][own % 4u] = four.x;
      sliceB[turned + 16u][own % 4u] = four.y;
      sliceB[turned + 32u][own % 4u] = four.z;
      sliceB[turned + 48u][own % 4u] = four.w;
    } else {
      let four = fourOfB(p, across, column + 4u * (i % 16u));
      sliceB[i] = first(select(0u, 4u, across < p.depth), four);
    }
  }
}

fn outer(a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b);
}

// Computes and stores the tile that begins at (row, column) of C. Every invocation must call it.
fn product(p: Product, row: u32, column: u32, lane: u32) {
  // Rows 4 y to 4 y + 3 and 32 + 4 y on, columns 4 x to 4 x + 3 and 32 + 4 x on: neighbours read neighbouring words.
  let y = lane / 8u;
  let x = lane % 8u;
  var upperLeft = mat4x4f();
  var upperRight = mat4x4f();
  var lowerLeft = mat4x4f();
  var lowerRight = mat4x4f();
  let own = row + lane / 4u;
  let rows = vec4u(
    rowOfA(p, own),
    rowOfA(p, own + 16u),
    rowOfA(p, own + 32u),
    rowOfA(p, own + 48u),
  );
  for (var depth = 0u; depth < p.depth; depth += DEPTH) {
    loadSlices(p, rows, row, column, depth, lane);
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let upper = sliceA[16u * k + y];
      let lower = sliceA[16u * k + 8u + y];
      let left = sliceB[16u * k + x];
      let right = sliceB[16u * k + 8u + x];
      upperLeft += outer(upper, left);
      upperRight += outer(upper, right);
      lowerLeft += outer(lower, left);
      lowerRight += outer(lower, right);
    }
    workgroupBarrier();
  }
  let top = row + 4u * y;
  let side = column + 4u * x;
  storeBlock(p, top, side, upperLeft);
  storeBlock(p, top, side + 32u, upperRight);
  storeBlock(p, top + 32u, side, lowerLeft);
  storeBlock(p, top + 32u, side + 32u, lowerRight);
}
