// y[i] = opened(h[2 i]) shifted(h[2 i + 1]). One invocation for four results.

@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> h: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < given.quads) {
    let a = h[2u * i];
    // The last results may have one group of pairs.
    let b = h[min(2u * i + 1u, given.pairs - 1u)];
    y[i] = opened4(vec4f(a.xz, b.xz)) * shifted4(vec4f(a.yw, b.yw));
  }
}
