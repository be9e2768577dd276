// Turns entries i and i + half of the first `turned` heads of a row by the angle of (position, i), a row's position being
// `first` and its place in its sequence; what else is in the row is copied. x and y [rows, columns], offset [sequences + 1].
// Cosines and sines [positions, half] come as a table, because WGSL's own are good to 2^-11 only.
// One invocation for a pair and a copied number of a row.

override INVERSE: bool;

struct Given {
  size: u32,
  items: u32,
  columns: u32,
  width: u32,
  turned: u32,
  half: u32,
  pairs: u32,
  copied: u32,
  sequences: u32,
  longest: u32,
  // Position of each sequence's first row.
  first: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> offset: array<u32>;
@group(0) @binding(3) var<storage, read> turns: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// Place of a row in its sequence. Where all sequences are of one length, the first guess is right.
fn positionOf(row: u32) -> u32 {
  var low = min(row / given.longest, given.sequences - 1u);
  if (row < offset[low] || row >= offset[low + 1u]) {
    low = 0u;
    var high = given.sequences;
    while (high - low > 1u) {
      let middle = (low + high) / 2u;
      if (offset[middle] <= row) {
        low = middle;
      } else {
        high = middle;
      }
    }
  }
  return row - offset[low];
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let row = i / given.items;
  let item = i % given.items;
  let start = row * given.columns;
  if (item < given.pairs) {
    let turn = turns[(given.first + positionOf(row)) * given.half + item % given.half];
    let sine = select(turn.y, -turn.y, INVERSE);
    let at = start + (item / given.half) * given.width + item % given.half;
    let a = x[at];
    let b = x[at + given.half];
    y[at] = a * turn.x - b * sine;
    y[at + given.half] = b * turn.x + a * sine;
  }
  if (item < given.copied) {
    let still = given.width - 2u * given.half;
    var at = start + given.turned * given.width + item - given.turned * still;
    if (item < given.turned * still) {
      at = start + (item / still) * given.width + 2u * given.half + item % still;
    }
    y[at] = x[at];
  }
}
