// New values written over old ones.
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> newP: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> newM: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> newV: array<vec4f>;

fn oldP(i: u32) -> vec4f {
  return newP[i];
}

fn oldM(i: u32) -> vec4f {
  return newM[i];
}

fn oldV(i: u32) -> vec4f {
  return newV[i];
}
