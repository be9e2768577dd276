// C[rows, columns] = A B, either operand stored transposed. One workgroup a tile of C, in rows of tiles, so that workgroups
// that run together share rows of A. The tile's arithmetic is in tile.wgsl or strip.wgsl, its loads in quads.wgsl or
// singles.wgsl.

struct Given {
  rows: u32,
  columns: u32,
  depth: u32,
}
@group(0) @binding(0) var<uniform> given: Given;

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let across = (given.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
  let tile = group.y * groups.x + group.x;
  let row = (tile / across) * TILE_ROWS;
  if (row >= given.rows) {
    return;
  }
  let aStride = select(given.depth, given.rows, TRANSPOSE_A);
  let bStride = select(given.columns, given.depth, TRANSPOSE_B);
  let all = Product(given.rows, given.columns, given.depth, 0u, aStride, 0u, bStride, 0u, 0u);
  product(all, row, (tile % across) * TILE_COLUMNS, lane);
}
