// Least squares by the normal equations, for reference losses: a handful of features that are far from dependent, so
// nothing better conditioned is needed.

/** Mean squared error of the best linear function of rows of `feature_ND`, [N, D] row-major. */
export function linearError(feature_ND: Float32Array, value_N: Float32Array, D: number): number {
  const at = (row: number, d: number) => d < D ? feature_ND[row * D + d] : value_N[row];
  const sums = Array.from(
    { length: D },
    (_, i) =>
      Array.from(
        { length: D + 1 },
        (_, j) => value_N.reduce((sum, _, row) => sum + at(row, i) * at(row, j), 0),
      ),
  );
  for (let i = 0; i < D; i++) {
    for (let row = 0; row < D; row++) {
      if (row === i) continue;
      const factor = sums[row][i] / sums[i][i];
      sums[row] = sums[row].map((value, j) => value - factor * sums[i][j]);
    }
  }
  const predicted = (row: number) =>
    sums.reduce((sum, equation, d) => sum + at(row, d) * equation[D] / equation[d], 0);
  return value_N.reduce((sum, value, row) => sum + (value - predicted(row)) ** 2, 0) / value_N.length;
}
