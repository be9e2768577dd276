// y[i] = sqrt(-2 log(1 - u)) cos(2 pi v), where u and v are the draws of block i; y [size].

@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn place(block: u32, drawn: vec2f) {
  y[block] = sqrt(-2.0 * logarithm(1.0 - drawn.x)) * cosineOfTurns(drawn.y);
}
