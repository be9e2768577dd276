// The k highest entries of each row of score [rows, columns], highest first, ties to the lower index: value and index
// [rows, k]. NaN counts as -infinity. One invocation an entry: it counts the entries before it, 256 at a time through
// workgroup memory, and writes itself to that place if it is among the first k.

struct Given {
  rows: u32,
  columns: u32,
  k: u32,
  blocks: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> score: array<f32>;
@group(0) @binding(2) var<storage, read_write> value: array<f32>;
@group(0) @binding(3) var<storage, read_write> index: array<i32>;

// The key of -infinity.
const LOWEST = 0xff800000u;

var<workgroup> ranks: array<vec4u, 64>;

fn lowest() -> f32 {
  var bits = LOWEST;
  return bitcast<f32>(bits);
}

// Past the end nothing stands before anything.
fn rankAt(row: u32, column: u32) -> u32 {
  if (column >= given.columns) {
    return 0xffffffffu;
  }
  let found = score[row * given.columns + column];
  return select(descendingKey(found), LOWEST, isNaN(found));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = group.y * groups.x + group.x;
  let row = id / given.blocks;
  if (row >= given.rows) {
    return;
  }
  let column = (id % given.blocks) * 256u + lane;
  let own = rankAt(row, column);
  var before = vec4i(0);
  for (var start = 0u; start < given.columns; start += 256u) {
    workgroupBarrier();
    ranks[lane / 4u][lane % 4u] = rankAt(row, start + lane);
    workgroupBarrier();
    for (var quad = 0u; quad < 64u; quad++) {
      let at = vec4u(start + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let others = ranks[quad];
      before += vec4i((others < vec4u(own)) | ((others == vec4u(own)) & (at < vec4u(column))));
    }
  }
  let place = u32(before.x + before.y + before.z + before.w);
  if (column < given.columns && place < given.k) {
    let chosen = score[row * given.columns + column];
    value[row * given.k + place] = select(chosen, lowest(), isNaN(chosen));
    index[row * given.k + place] = i32(column);
  }
}
