// loss[s] = sum over columns of slope[s, e] times the sum of probability[t, e], slope[s, e] = scale f[s, e] / n with f the
// mean of chosen[t, e], or of how many of wanted[t, 0 .. choices - 1] are e (NAMED), over the n tokens t of scope s that are real (MASKED; at least 1 counts); probability and chosen
// [scopes * scope, columns]. `sums` leaves sums of blocks of 256 tokens, [scopes, blocks, 2, columns + 1], the number of
// real tokens behind the last column of probability: a workgroup takes 32 columns, 8 invocations each. `join`: one
// workgroup a scope.

override MASKED: bool;
override NAMED: bool;

struct Given {
  scope: u32,
  columns: u32,
  blocks: u32,
  scopes: u32,
  named: u32,
  choices: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> probability: array<f32>;
// f32 or i32.
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
@group(0) @binding(3) var<storage, read> real: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> slope: array<f32>;

var<workgroup> parts: array<vec2f, 256>;

fn weightOf(t: u32) -> f32 {
  if (MASKED) {
    return real[t];
  }
  return 1.0;
}

fn chosenAt(t: u32, column: u32) -> f32 {
  if (!NAMED) {
    return bitcast<f32>(chosen[t * given.columns + column]);
  }
  var count = 0.0;
  for (var k = 0u; k < given.choices; k++) {
    count += select(0.0, 1.0, chosen[t * given.named + k] == column);
  }
  return count;
}

@compute @workgroup_size(32, 8)
fn sums(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) lane: vec3u,
) {
  let strips = (given.columns + 32u) / 32u;
  let at = group.y * groups.x + group.x;
  let block = at / strips;
  if (block >= given.scopes * given.blocks) {
    return;
  }
  let scope = block / given.blocks;
  let column = (at % strips) * 32u + lane.x;
  let first = scope * given.scope + (block % given.blocks) * 256u;
  let end = min(first + 256u, (scope + 1u) * given.scope);
  var part = vec2f(0.0);
  for (var t = first + lane.y; t < end; t += 8u) {
    let weight = weightOf(t);
    if (column < given.columns) {
      part += weight * vec2f(probability[t * given.columns + column], chosenAt(t, column));
    } else {
      part.x += weight;
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
  if (lane.y == 0u && column <= given.columns) {
    let to = block * 2u * (given.columns + 1u) + column;
    partial[to] = parts[place].x;
    partial[to + given.columns + 1u] = parts[place].y;
  }
}

fn sumOfBlocks(scope: u32, at: u32) -> f32 {
  var sum = 0.0;
  let width = 2u * (given.columns + 1u);
  for (var block = scope * given.blocks; block < (scope + 1u) * given.blocks; block++) {
    sum += partial[block * width + at];
  }
  return sum;
}

@compute @workgroup_size(64)
fn join(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let scope = group.y * groups.x + group.x;
  if (scope >= given.scopes) {
    return;
  }
  let count = max(1.0, sumOfBlocks(scope, given.columns));
  var part = 0.0;
  for (var column = lane; column < given.columns; column += LANES) {
    let share = sumOfBlocks(scope, given.columns + 1u + column) / count;
    let own = given.scale * share / count;
    slope[scope * given.columns + column] = own;
    part += own * sumOfBlocks(scope, column);
  }
  let total = sumOfLanes(part, lane);
  if (lane == 0u) {
    loss[scope] = total;
  }
}
