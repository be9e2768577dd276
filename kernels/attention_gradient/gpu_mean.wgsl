// facts[t, h] = (normalizer, sum of g o over the columns of head h, 0): what the weights of a query are made again from, and
// what they take off their gradients. g and o [rows, width], normalizer [rows, heads]. One invocation for a row and head.

struct Given {
  size: u32,
  headWidth: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> o: array<f32>;
@group(0) @binding(2) var<storage, read> normalizer: array<vec2f>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> facts: array<vec4f>;

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
  var sum = 0.0;
  for (var at = i * given.headWidth; at < (i + 1u) * given.headWidth; at++) {
    sum += g[at] * o[at];
  }
  facts[i] = vec4f(normalizer[i], sum, 0.0);
}
