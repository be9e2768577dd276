// noise[i] = draw[i] scale + shift and y[i] = x[i] noise[i], [size].

@group(0) @binding(1) var<storage, read> x: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> noise: array<vec2f>;

fn place(block: u32, drawn: vec2f) {
  let factor = drawn * given.scale + given.shift;
  noise[block] = factor;
  y[block] = x[block] * factor;
}
