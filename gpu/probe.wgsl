// a b + c where the product does not fit into f32: 0 when it is rounded before the sum, -2^-24 when it is not.
// One invocation.

@group(0) @binding(0) var<storage, read_write> number: array<f32, 4>;

@compute @workgroup_size(1)
fn main() {
  number[3] = number[0] * number[1] + number[2];
}
