// Gradients of queries, keys and values side by side in one array.
@group(0) @binding(7) var<storage, read_write> gradient: array<f32>;

fn storeQuery(at: u32, value: f32) {
  gradient[at] = value;
}

fn storeKey(at: u32, value: f32) {
  gradient[at] = value;
}

fn storeValue(at: u32, value: f32) {
  gradient[at] = value;
}

