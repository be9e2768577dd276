// Gates with orthogonal rows of equal norm, which LocMoE's theory assumes: grouped average pooling (GrAP), which has
// nothing to learn, and a learned one that is orthogonal whatever its parameters are.
import * as kernels from "../../kernels/mod.ts";
import { add, affine, divide, sqrt, square } from "../../tensor/arithmetic.ts";
import type { Filler } from "../../tensor/init.ts";
import { matmul } from "../../tensor/products.ts";
import { sumAll, sumLast } from "../../tensor/reduce.ts";
import { apply, differentiable, reshape, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";

/** @throws {RangeError} when E experts do not cut D entries into chunks of one length. */
export function checkChunks(router: string, D: number, E: number): void {
  if (D % E === 0) return;
  throw new RangeError(
    `Cannot make router "${router}": its gate averages chunks of D / E entries, and ${E} experts do not divide width ${D}`,
  );
}

/**
 * GrAP (LocMoE, equation 4): logit i is the mean of the i-th of E chunks of x. The rows omega_i, E / D on a chunk and 0
 * elsewhere, are never formed: [T, D] is read as [T E, D / E].
 */
export function chunkMeans(x_TD: Tensor, E: number): Tensor {
  const [T, D] = x_TD.shape;
  return affine(reshape(sumLast(reshape(x_TD, [T * E, D / E])), [T, E]), E / D, 0);
}

/** cos(x_t, omega_i) (LocMoE+, equation 4), [T, E]; zero for a token of zeros. */
export function cosineToChunks(x_TD: Tensor, E: number): Tensor {
  const [y_TE, norm_T] = apply(kernels.chunkCosine, [x_TD], { chunks: E });
  return differentiable(y_TE, [[
    x_TD,
    (gradient) => apply(kernels.chunkCosineGradient, [x_TD, y_TE, norm_T, gradient], {})[0],
  ]]);
}

/** Columns drawn from a normal distribution and made orthonormal (Gram-Schmidt, twice), [D, E]. */
export function orthonormalColumns(D: number, E: number): Filler {
  return (random) => {
    const drawn = random.normal(D * E);
    const columns: Float64Array[] = [];
    for (let e = 0; e < E; e++) {
      const column = Float64Array.from({ length: D }, (_, d) => drawn[d * E + e]);
      for (let round = 0; round < 2; round++) {
        for (const other of columns) {
          const along = column.reduce((sum, value, d) => sum + value * other[d], 0);
          for (let d = 0; d < D; d++) column[d] -= along * other[d];
        }
      }
      const norm = Math.sqrt(column.reduce((sum, value) => sum + value * value, 0));
      columns.push(column.map((value) => value / norm));
    }
    return Float32Array.from({ length: D * E }, (_, at) => columns[at % E][Math.floor(at / E)]);
  };
}

/** Newton-Schulz steps: each brings eigenvalues of the Gram matrix, 1 / sqrt(E) or so at first, 2.25 times nearer to 1. */
const STEPS = 16;

/**
 * The orthogonal matrix nearest to W, W (W'W)^(-1/2), times sqrt(E / D): orthogonal columns of GrAP's norm, with a
 * gradient to W. The inverse root is the coupled Newton-Schulz iteration on E x E matrices (Higham 1997).
 */
export function orthogonalGate(weight_DE: Tensor): Tensor {
  const [D, E] = weight_DE.shape;
  const gram_EE = matmul(weight_DE, weight_DE, { transposeA: true });
  // Any scale that brings the eigenvalues into (0, 1] gives the same result, so none of it needs a gradient.
  const scale = sqrt(affine(stopGradient(sumAll(square(gram_EE))), 1, 1e-30));
  const identity = Float32Array.from({ length: E * E }, (_, at) => at % (E + 1) === 0 ? 1 : 0);
  let root_EE = divide(gram_EE, scale);
  let inverse_EE = tensor(weight_DE.backend, identity, [E, E]);
  const threeHalves_EE = tensor(weight_DE.backend, identity.map((value) => 1.5 * value), [E, E]);
  for (let step = 0; step < STEPS; step++) {
    const turn_EE = add(threeHalves_EE, affine(matmul(inverse_EE, root_EE), -0.5, 0));
    root_EE = matmul(root_EE, turn_EE);
    inverse_EE = matmul(turn_EE, inverse_EE);
  }
  const orthonormal_DE = divide(matmul(weight_DE, inverse_EE), sqrt(scale));
  return affine(orthonormal_DE, Math.sqrt(E / D), 0);
}
