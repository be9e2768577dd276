// A loop of as many trips as asked for, each a step of a generator: its last state tells how many were made, since some
// drivers stop a loop without a word. One invocation.

// Trips asked for, state.
@group(0) @binding(0) var<storage, read_write> word: array<u32, 2>;

@compute @workgroup_size(1)
fn main() {
  let asked = word[0];
  var state = word[1];
  for (var trip = 0u; trip < asked; trip++) {
    state = state * 1664525u + 1013904223u;
  }
  word[1] = state;
}
