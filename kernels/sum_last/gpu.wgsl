// y[r, b] = sum of x[r, c] over block b of the columns; x [rows, columns], y [rows, blocks].
// `narrow`: one invocation a row, which is one block; `wide`: one workgroup a block.

struct Given {
  rows: u32,
  columns: u32,
  blocks: u32,
  columnsPerBlock: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn narrow(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * groups.x + group.x) * 256u + lane;
  if (row >= given.rows) {
    return;
  }
  var sum = 0.0;
  for (var i = row * given.columns; i < (row + 1u) * given.columns; i++) {
    sum += x[i];
  }
  y[row] = sum;
}

@compute @workgroup_size(64)
fn wide(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let at = group.y * groups.x + group.x;
  if (at >= given.rows * given.blocks) {
    return;
  }
  let row = at / given.blocks;
  let first = (at % given.blocks) * given.columnsPerBlock;
  let end = min(first + given.columnsPerBlock, given.columns);
  var part = 0.0;
  for (var column = first + lane; column < end; column += LANES) {
    part += x[row * given.columns + column];
  }
  let sum = sumOfLanes(part, lane);
  if (lane == 0u) {
    y[at] = sum;
  }
}
