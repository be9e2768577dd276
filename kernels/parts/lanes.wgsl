// Sums and largest values over the 64 invocations of a workgroup, by a tree in workgroup memory. Every invocation must
// call them and gets the result.

const LANES = 64u;
var<workgroup> ofLane: array<f32, LANES>;

fn sumOfLanes(value: f32, lane: u32) -> f32 {
  ofLane[lane] = value;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width >>= 1u) {
    if (lane < width) {
      ofLane[lane] += ofLane[lane + width];
    }
    workgroupBarrier();
  }
  let total = ofLane[0];
  workgroupBarrier();
  return total;
}

// NaN may be passed over.
fn largestOfLanes(value: f32, lane: u32) -> f32 {
  ofLane[lane] = value;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width >>= 1u) {
    if (lane < width) {
      let other = ofLane[lane + width];
      if (other > ofLane[lane]) {
        ofLane[lane] = other;
      }
    }
    workgroupBarrier();
  }
  let largest = ofLane[0];
  workgroupBarrier();
  return largest;
}
