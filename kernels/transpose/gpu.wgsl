// y[m, c, r] = x[m, r, c]; x [matrices, rows, columns]. A workgroup takes 16 x 16 numbers through workgroup memory, so that
// neighbours read neighbouring words and write them too.

struct Given {
  matrices: u32,
  rows: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const SIDE = 16u;
// One more a row, so that numbers of a column lie in different banks.
var<workgroup> tile: array<f32, 272>;

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let across = (given.columns + SIDE - 1u) / SIDE;
  let down = (given.rows + SIDE - 1u) / SIDE;
  let id = group.y * groups.x + group.x;
  let matrix = id / across / down;
  if (matrix >= given.matrices) {
    return;
  }
  let row = ((id / across) % down) * SIDE;
  let column = (id % across) * SIDE;
  let begin = matrix * given.rows * given.columns;
  if (row + lane.y < given.rows && column + lane.x < given.columns) {
    tile[lane.y * 17u + lane.x] = x[begin + (row + lane.y) * given.columns + column + lane.x];
  }
  workgroupBarrier();
  if (column + lane.y < given.columns && row + lane.x < given.rows) {
    y[begin + (column + lane.y) * given.rows + row + lane.x] = tile[lane.x * 17u + lane.y];
  }
}
