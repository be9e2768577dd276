// y[b, c] = sum of x[r, c] inverse[r] g[r, c] over block b of the rows; x and g [rows, columns], y [blocks, columns].
// Several blocks are summed by sum_first's program.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> inverse: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn termAt(i: u32, row: u32) -> f32 {
  return x[i] * inverse[row] * g[i];
}
