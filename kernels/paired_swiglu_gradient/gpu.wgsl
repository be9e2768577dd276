// dh[2 i] = g[i] shifted(h[2 i + 1]) opened'(h[2 i]) and dh[2 i + 1] = g[i] opened(h[2 i]) shifted'(h[2 i + 1]). One
// invocation for four results.

@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> h: array<vec4f>;
@group(0) @binding(2) var<storage, read> g: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dh: array<vec4f>;

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
    let own = vec4f(a.xz, b.xz);
    let unit = vec4f(a.yw, b.yw);
    let dgate = (g[i] * shifted4(unit)) * openedSlope4(own);
    let dx = shiftedGradient4(g[i] * opened4(own), unit);
    dh[2u * i] = vec4f(dgate.x, dx.x, dgate.y, dx.y);
    if (2u * i + 1u < given.pairs) {
      dh[2u * i + 1u] = vec4f(dgate.z, dx.z, dgate.w, dx.w);
    }
  }
}
