// C[e] = transposed A times G over rows offset[e] to offset[e + 1] - 1; A [count, rows] or [sources, rows] through an
// index, G [count, columns], C [groups, rows, columns], 0 for a group without rows. One workgroup a tile of a group's C.

struct Given {
  groups: u32,
  rows: u32,
  columns: u32,
  // Of A when its rows are gathered.
  sources: u32,
  each: u32,
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
  let down = (given.rows + TILE_ROWS - 1u) / TILE_ROWS;
  let id = group.y * groups.x + group.x;
  let e = id / across / down;
  if (e >= given.groups) {
    return;
  }
  let begin = u32(offset[e]);
  let count = u32(offset[e + 1u]) - begin;
  let own = Product(
    given.rows,
    given.columns,
    count,
    begin,
    given.rows,
    begin * given.columns,
    given.columns,
    e * given.rows * given.columns,
    e,
  );
  product(own, ((id / across) % down) * TILE_ROWS, (id % across) * TILE_COLUMNS, lane);
}
