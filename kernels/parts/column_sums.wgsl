// The frame of sums over blocks of rows, column by column: y [blocks, columns]. The program's own file declares arrays,
// y among them, and says what is summed (`termAt`, at an element of a row). A workgroup takes 32 columns of a block: 8
// invocations a column, each every 8th row, joined in workgroup memory.

struct Given {
  rows: u32,
  columns: u32,
  blocks: u32,
  rowsPerBlock: u32,
}
@group(0) @binding(0) var<uniform> given: Given;

var<workgroup> parts: array<f32, 256>;

@compute @workgroup_size(32, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let strips = (given.columns + 31u) / 32u;
  let at = group.y * groups.x + group.x;
  let block = at / strips;
  if (block >= given.blocks) {
    return;
  }
  let column = (at % strips) * 32u + lane.x;
  let first = block * given.rowsPerBlock;
  let end = min(first + given.rowsPerBlock, given.rows);
  var part = 0.0;
  if (column < given.columns) {
    for (var row = first + lane.y; row < end; row += 8u) {
      part += termAt(row * given.columns + column, row);
    }
  }
  let place = lane.y * 32u + lane.x;
  parts[place] = part;
  for (var height = 4u; height > 0u; height >>= 1u) {
    workgroupBarrier();
    if (lane.y < height) {
      parts[place] += parts[place + height * 32u];
    }
  }
  if (lane.y == 0u && column < given.columns) {
    y[block * given.columns + column] = parts[place];
  }
}
