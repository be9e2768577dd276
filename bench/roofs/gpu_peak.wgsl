// sum over accumulators of repeated a = a factor + offset: multiply-adds in registers alone, eight vectors an invocation
// so that the latency of each is hidden. One result an invocation.

struct Given {
  rounds: u32,
  factor: f32,
  offset: f32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let x = vec4f(given.factor);
  let y = vec4f(given.offset);
  var a = vec4f(f32(lane));
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  for (var round = 0u; round < given.rounds; round++) {
    a = a * x + y;
    b = b * x + y;
    c = c * x + y;
    d = d * x + y;
    e = e * x + y;
    f = f * x + y;
    g = g * x + y;
    h = h * x + y;
  }
  let sum = a + b + c + d + e + f + g + h;
  result[(group.y * groups.x + group.x) * 64u + lane] = sum.x + sum.y + sum.z + sum.w;
}
