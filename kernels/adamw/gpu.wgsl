// One AdamW step: m' = b1 m + (1 - b1) g s, v' = b2 v + (1 - b2) (g s)^2,
// p' = p - (rate m' / (root sqrt(v') + epsilon) + decay p), with both bias corrections in `rate` and `root`.
// All arrays [size] but s [1]. One invocation for four elements.

struct Given {
  quads: u32,
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  rate: f32,
  root: f32,
  epsilon: f32,
  decay: f32,
}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.quads) {
    return;
  }
  let gradient = g[i] * scale[0];
  let mean = given.beta1 * oldM(i) + given.rest1 * gradient;
  let square = given.beta2 * oldV(i) + given.rest2 * (gradient * gradient);
  let old = oldP(i);
  newM[i] = mean;
  newV[i] = square;
  newP[i] = old - (given.rate * mean / (given.root * sqrt(square) + given.epsilon) + given.decay * old);
}
