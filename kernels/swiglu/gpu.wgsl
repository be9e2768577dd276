// y = silu(gate) x, [size]; OP is silu's number in operations.ts. One invocation for four elements.

override OP: i32;

struct Given {
  quads: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> gate: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < given.quads) {
    let own = gate[i];
    let opened = vec4f(activate(OP, own.x), activate(OP, own.y), activate(OP, own.z), activate(OP, own.w));
    y[i] = opened * x[i];
  }
}
