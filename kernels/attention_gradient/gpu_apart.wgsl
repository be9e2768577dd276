// Gradients of queries, keys and values in arrays of their own. `queries` is given the first, `keysAndValues` the others.
@group(0) @binding(7) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(8) var<storage, read_write> valueGradient: array<f32>;

fn storeQuery(at: u32, value: f32) {
  gradient[at] = value;
}

fn storeKey(at: u32, value: f32) {
  gradient[at] = value;
}

fn storeValue(at: u32, value: f32) {
  valueGradient[at] = value;
}

