// Products of numbers in half precision: y = a b, given and taken in f32. One invocation.
enable f16;

// a, b and y of 16 products.
@group(0) @binding(0) var<storage, read_write> number: array<f32, 48>;

@compute @workgroup_size(1)
fn main() {
  for (var at = 0u; at < 16u; at++) {
    number[32u + at] = f32(f16(number[at]) * f16(number[16u + at]));
  }
}
