// A tile of a matrix product for adapters that compute on the CPU: 16 x 128 numbers of C by 16 invocations, 16 x 8 each.
// There loads cost far more than arithmetic and barriers most of all, so nothing goes through workgroup memory, and rows
// depend on the workgroup alone: what is read of A is one value for all invocations of a vector.
// A program is block.wgsl, this, quads.wgsl or singles.wgsl, plain.wgsl or what a kernel has in its place, and which tile
// of which product it wants.

const INVOCATIONS = 16u;
const TILE_ROWS = 16u;
const TILE_COLUMNS = 128u;

// Where rows i to i + 3 of A begin, as they are stored.
fn rowsOfA(p: Product, i: u32) -> vec4u {
  return vec4u(rowOfA(p, i), rowOfA(p, i + 1u), rowOfA(p, i + 2u), rowOfA(p, i + 3u));
}

// Rows and columns past the edge are any numbers, nothing is stored of them; of the depths, `count` exist. `rows` says
// where the block's rows begin, unless they lie along the depth.
fn blockOfA(p: Product, rows: vec4u, i: u32, k: u32, count: u32) -> mat4x4f {
  if (TRANSPOSE_A) {
    let along = rowsOfA(p, k) + vec4u(i);
    return transpose(mat4x4f(
      first(select(0u, 4u, hasRow(p, k)), fourOfA(along.x)),
      first(select(0u, 4u, count > 1u && hasRow(p, k + 1u)), fourOfA(along.y)),
      first(select(0u, 4u, count > 2u && hasRow(p, k + 2u)), fourOfA(along.z)),
      first(select(0u, 4u, count > 3u && hasRow(p, k + 3u)), fourOfA(along.w)),
    ));
  }
  return mat4x4f(
    first(count, fourOfA(rows.x + k)),
    first(count, fourOfA(rows.y + k)),
    first(count, fourOfA(rows.z + k)),
    first(count, fourOfA(rows.w + k)),
  );
}

fn blockOfB(p: Product, k: u32, j: u32, count: u32) -> mat4x4f {
  if (TRANSPOSE_B) {
    return transpose(mat4x4f(
      first(count, fourOfB(p, j, k)),
      first(count, fourOfB(p, j + 1u, k)),
      first(count, fourOfB(p, j + 2u, k)),
      first(count, fourOfB(p, j + 3u, k)),
    ));
  }
  return mat4x4f(
    fourOfB(p, k, j),
    first(select(0u, 4u, count > 1u), fourOfB(p, k + 1u, j)),
    first(select(0u, 4u, count > 2u), fourOfB(p, k + 2u, j)),
    first(select(0u, 4u, count > 3u), fourOfB(p, k + 3u, j)),
  );
}

// Computes and stores the tile that begins at (row, column) of C.
fn product(p: Product, row: u32, column: u32, lane: u32) {
  let j = column + 8u * lane;
  if (j >= p.columns) {
    return;
  }
  // Left and right halves of four times four rows.
  var l0 = mat4x4f();
  var l1 = mat4x4f();
  var l2 = mat4x4f();
  var l3 = mat4x4f();
  var r0 = mat4x4f();
  var r1 = mat4x4f();
  var r2 = mat4x4f();
  var r3 = mat4x4f();
  let rows0 = rowsOfA(p, row);
  let rows1 = rowsOfA(p, row + 4u);
  let rows2 = rowsOfA(p, row + 8u);
  let rows3 = rowsOfA(p, row + 12u);
  let whole = p.depth & ~3u;
  for (var k = 0u; k < whole; k += 4u) {
    let left = blockOfB(p, k, j, 4u);
    let right = blockOfB(p, k, j + 4u, 4u);
    let a0 = blockOfA(p, rows0, row, k, 4u);
    l0 += left * a0;
    r0 += right * a0;
    let a1 = blockOfA(p, rows1, row + 4u, k, 4u);
    l1 += left * a1;
    r1 += right * a1;
    let a2 = blockOfA(p, rows2, row + 8u, k, 4u);
    l2 += left * a2;
    r2 += right * a2;
    let a3 = blockOfA(p, rows3, row + 12u, k, 4u);
    l3 += left * a3;
    r3 += right * a3;
  }
  let rest = p.depth - whole;
  if (rest > 0u) {
    let left = blockOfB(p, whole, j, rest);
    let right = blockOfB(p, whole, j + 4u, rest);
    let a0 = blockOfA(p, rows0, row, whole, rest);
    l0 += left * a0;
    r0 += right * a0;
    let a1 = blockOfA(p, rows1, row + 4u, whole, rest);
    l1 += left * a1;
    r1 += right * a1;
    let a2 = blockOfA(p, rows2, row + 8u, whole, rest);
    l2 += left * a2;
    r2 += right * a2;
    let a3 = blockOfA(p, rows3, row + 12u, whole, rest);
    l3 += left * a3;
    r3 += right * a3;
  }
  storeBlock(p, row, j, l0);
  storeBlock(p, row, j + 4u, r0);
  storeBlock(p, row + 4u, j, l1);
  storeBlock(p, row + 4u, j + 4u, r1);
  storeBlock(p, row + 8u, j, l2);
  storeBlock(p, row + 8u, j + 4u, r2);
  storeBlock(p, row + 12u, j, l3);
  storeBlock(p, row + 12u, j + 4u, r3);
}
