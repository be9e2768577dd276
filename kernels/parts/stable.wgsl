// Stable ranks within a round of 256 keys, one an invocation: how many earlier invocations hold the same key, and whether
// a later one does. Keys wait in workgroup memory; key -1 is no key.

var<workgroup> keysOfRound: array<vec4i, 64>;

struct Rank {
  before: i32,
  last: bool,
}

// Every invocation must call it. The keys stay until its next call, before which the program needs a barrier.
fn rankInRound(key: i32, lane: u32) -> Rank {
  keysOfRound[lane / 4u][lane % 4u] = key;
  workgroupBarrier();
  var before = vec4i(0);
  var after = vec4i(0);
  let place = vec4i(i32(lane));
  for (var quad = 0u; quad < 64u; quad++) {
    let equal = vec4i(keysOfRound[quad] == vec4i(key));
    let at = vec4i(i32(4u * quad)) + vec4i(0, 1, 2, 3);
    before += equal * vec4i(at < place);
    after += equal * vec4i(at > place);
  }
  return Rank(before.x + before.y + before.z + before.w, all(after == vec4i(0)));
}
