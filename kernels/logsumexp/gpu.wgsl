// y[r] = log of the sum of e^x[r, c] over c, with the largest value taken out first; x [rows, columns].

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn finish(row: u32, largest: f32, sum: f32) {
  y[row] = largest + logarithm(sum);
}
