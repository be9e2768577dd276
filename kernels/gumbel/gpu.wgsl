// y[i] = -log(-log(draw[i])), draws at least 2^-25; y [size].

@group(0) @binding(1) var<storage, read_write> y: array<vec2f>;

fn place(block: u32, drawn: vec2f) {
  let inside = max(drawn, vec2f(2.98023223876953125e-8));
  y[block] = vec2f(-logarithm(-logarithm(inside.x)), -logarithm(-logarithm(inside.y)));
}
