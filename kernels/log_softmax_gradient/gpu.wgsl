// dx[r, c] = g[r, c] - e^y[r, c] times the sum of g[r]; all [rows, columns].

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn termAt(i: u32) -> f32 {
  return g[i];
}

fn gradientAt(i: u32, row: u32, sum: f32) -> f32 {
  return g[i] - exponential(y[i]) * sum;
}
