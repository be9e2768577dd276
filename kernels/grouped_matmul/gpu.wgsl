// Rows offset[e] to offset[e + 1] - 1 of A [count, depth] times B[e] [depth, columns] (or its transpose, stored as
// [columns, depth]); rows at or past offset[groups] become 0. C [count, columns].
// plain.wgsl or fused.wgsl says where rows of A are and what becomes of a sum.
// One workgroup a tile of C. How many rows a group has is known here only: tiles are counted off group by group, the grid
// has as many as any split of the rows can need, and those left over do nothing.

struct Given {
  count: u32,
  groups: u32,
  depth: u32,
  columns: u32,
  // Of A when its rows are gathered.
  sources: u32,
  each: u32,
  // From a row of B to the next, and from a matrix to the next.
  bStride: u32,
  matrix: u32,
  // Of a matrix in a format of weights: where its scales begin, and how many lie side by side.
  scalesAt: u32,
  scaleColumns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(3) var<storage, read> offset: array<i32>;

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let across = (given.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
  let id = group.y * groups.x + group.x;
  var tile = id / across;
  // The group after the last holds the rows that belong to none; nothing is summed for them.
  var e = 0u;
  var begin = 0u;
  var rows = 0u;
  loop {
    begin = u32(offset[e]);
    let end = select(given.count, u32(offset[min(e + 1u, given.groups)]), e < given.groups);
    rows = end - begin;
    let tiles = (rows + TILE_ROWS - 1u) / TILE_ROWS;
    if (tile < tiles) {
      break;
    }
    if (e == given.groups) {
      return;
    }
    tile -= tiles;
    e++;
  }
  let depth = select(0u, given.depth, e < given.groups);
  let own = Product(
    rows,
    given.columns,
    depth,
    begin,
    given.depth,
    e * given.matrix,
    given.bStride,
    begin * given.columns,
    e,
  );
  product(own, tile * TILE_ROWS, (id % across) * TILE_COLUMNS, lane);
}
