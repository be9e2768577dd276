// dgate = g shifted(x) opened'(gate) and dx = g opened(gate) shifted'(x), [size]. One invocation for four elements.

@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> gate: array<vec4f>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> g: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dgate: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < given.quads) {
    let own = gate[i];
    let unit = x[i];
    dgate[i] = (g[i] * shifted4(unit)) * openedSlope4(own);
    dx[i] = shiftedGradient4(g[i] * opened4(own), unit);
  }
}
