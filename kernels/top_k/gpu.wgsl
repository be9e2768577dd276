// The k highest entries of each row of score [rows, columns], highest first, ties to the lower index: value and index
// [rows, k]. NaN counts as -infinity. One invocation a row: it goes through the row once for each choice and keeps the best
// entry behind the choice before.

struct Given {
  rows: u32,
  columns: u32,
  k: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> score: array<f32>;
@group(0) @binding(2) var<storage, read_write> value: array<f32>;
@group(0) @binding(3) var<storage, read_write> index: array<i32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.y * groups.x + group.x) * 64u + lane;
  if (row >= given.rows) {
    return;
  }
  let start = row * given.columns;
  // Key and index of the choice before; the first choice may be anything.
  var lastKey = 0u;
  var lastIndex = -1;
  for (var choice = 0u; choice < given.k; choice++) {
    var bestKey = 0xffffffffu;
    var best = 0;
    for (var column = 0u; column < given.columns; column++) {
      let found = score[start + column];
      let rank = select(descendingKey(found), LOWEST, isNaN(found));
      let isBehind = rank > lastKey || (rank == lastKey && i32(column) > lastIndex);
      if (isBehind && rank < bestKey) {
        bestKey = rank;
        best = i32(column);
      }
    }
    let at = row * given.k + choice;
    let chosen = score[start + u32(best)];
    value[at] = select(chosen, lowest(), isNaN(chosen));
    index[at] = best;
    lastKey = bestKey;
    lastIndex = best;
  }
}

// The key of -infinity.
const LOWEST = 0xff800000u;

fn lowest() -> f32 {
  var bits = LOWEST;
  return bitcast<f32>(bits);
}
