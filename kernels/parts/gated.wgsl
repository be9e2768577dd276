// A gate that opens a unit and their derivatives; OP is silu's number in operations.ts. Without limits `limit` is
// infinite, and selects keep NaN where min and max may not.

override OP: i32;

struct Given {
  quads: u32,
  // Groups of four in an array of pairs.
  pairs: u32,
  limit: f32,
  steepness: f32,
  shift: f32,
}

fn opened(gate: f32) -> f32 {
  let held = select(gate, given.limit, gate > given.limit);
  return boundedBelow(held) * sigmoid(given.steepness * held);
}

fn openedSlope(gate: f32) -> f32 {
  return select(slopeAt(OP, given.steepness * gate), 0.0, gate > given.limit);
}

fn opened4(gate: vec4f) -> vec4f {
  return vec4f(opened(gate.x), opened(gate.y), opened(gate.z), opened(gate.w));
}

fn openedSlope4(gate: vec4f) -> vec4f {
  return vec4f(openedSlope(gate.x), openedSlope(gate.y), openedSlope(gate.z), openedSlope(gate.w));
}

fn shifted4(x: vec4f) -> vec4f {
  let low = select(x, vec4f(-given.limit), x < vec4f(-given.limit));
  return select(low, vec4f(given.limit), x > vec4f(given.limit)) + given.shift;
}

fn shiftedGradient4(gradient: vec4f, x: vec4f) -> vec4f {
  return select(gradient, vec4f(0.0), abs(x) > vec4f(given.limit));
}
