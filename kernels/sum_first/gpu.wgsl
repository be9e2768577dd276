// y[b, c] = sum of x[r, c] over block b of the rows; x [rows, columns], y [blocks, columns].

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn termAt(i: u32, row: u32) -> f32 {
  return x[i];
}
