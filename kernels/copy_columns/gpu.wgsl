// y[r, c] = x[r, shift + c] where x has that column, else base[r, c] (overBase) or 0 (overZeros); x [rows, width],
// y [rows, columns]. Words are copied as they are. One invocation for an element of y.

struct Given {
  size: u32,
  columns: u32,
  width: u32,
  shift: i32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> base: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<storage, read_write> yOnBase: array<u32>;

// Where in x element i of y comes from; past the end where x has no such column.
fn sourceOf(i: u32) -> u32 {
  let column = bitcast<u32>(i32(i % given.columns) + given.shift);
  return select(0xffffffffu, (i / given.columns) * given.width + column, column < given.width);
}

@compute @workgroup_size(256)
fn overZeros(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let source = sourceOf(i);
  var value = 0u;
  if (source != 0xffffffffu) {
    value = x[source];
  }
  y[i] = value;
}

@compute @workgroup_size(256)
fn overBase(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let source = sourceOf(i);
  var value = base[i];
  if (source != 0xffffffffu) {
    value = x[source];
  }
  yOnBase[i] = value;
}
