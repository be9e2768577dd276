// The gradient written over the logits.
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> targets: array<i32>;
@group(0) @binding(2) var<storage, read> normalizer: array<vec2f>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<f32>;

fn logit(i: u32) -> f32 {
  return dlogits[i];
}
