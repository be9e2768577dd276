// rank[t, i] = how many assignments of its scope have its key and a higher priority, or an equal one and an earlier place;
// -1 for a key outside the groups. key, priority and rank [tokens, choices]; NaN is the lowest priority.
// One invocation an assignment: it looks at its whole scope, 256 assignments at a time through workgroup memory.

override CHOICE_MAJOR: bool;

struct Given {
  tokens: u32,
  choices: u32,
  groups: u32,
  scope: u32,
  scopes: u32,
  blocks: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> key: array<i32>;
@group(0) @binding(2) var<storage, read> priority: array<f32>;
@group(0) @binding(3) var<storage, read_write> rank: array<i32>;

var<workgroup> keys: array<vec4i, 64>;
var<workgroup> places: array<vec4u, 64>;

// Where entry i of a scope stands in the arrays.
fn entry(i: u32, first: u32, tokens: u32) -> u32 {
  if (CHOICE_MAJOR) {
    return (first + i % tokens) * given.choices + i / tokens;
  }
  return first * given.choices + i;
}

fn keyOf(at: u32) -> i32 {
  let found = key[at];
  return select(-1, found, u32(found) < given.groups);
}

fn placeOf(at: u32) -> u32 {
  let value = priority[at];
  return select(descendingKey(value), 0xffffffffu, isNaN(value));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = group.y * groups.x + group.x;
  let scope = id / given.blocks;
  if (scope >= given.scopes) {
    return;
  }
  let first = scope * given.scope;
  let tokens = min(given.scope, given.tokens - first);
  let size = tokens * given.choices;
  let i = (id % given.blocks) * 256u + lane;
  var own = -1;
  var place = 0u;
  if (i < size) {
    own = keyOf(entry(i, first, tokens));
    place = placeOf(entry(i, first, tokens));
  }
  var before = vec4i(0);
  for (var start = 0u; start < size; start += 256u) {
    let other = start + lane;
    var otherKey = -2;
    var otherPlace = 0u;
    if (other < size) {
      otherKey = keyOf(entry(other, first, tokens));
      otherPlace = placeOf(entry(other, first, tokens));
    }
    workgroupBarrier();
    keys[lane / 4u][lane % 4u] = otherKey;
    places[lane / 4u][lane % 4u] = otherPlace;
    workgroupBarrier();
    for (var quad = 0u; quad < 64u; quad++) {
      let at = vec4u(start + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let higher = places[quad] < vec4u(place);
      let earlier = (places[quad] == vec4u(place)) & (at < vec4u(i));
      before += vec4i((keys[quad] == vec4i(own)) & (higher | earlier));
    }
  }
  if (i < size) {
    rank[entry(i, first, tokens)] = select(-1, before.x + before.y + before.z + before.w, own >= 0);
  }
}
