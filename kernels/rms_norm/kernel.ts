// Root-mean-square normalization of the last axis (Zhang and Sennrich 2019, arXiv:1910.07467, equation 4). The inverse
// root mean square of each row is a second output because the gradient needs it.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { forRows } from "../parts/grid.ts";
import { additionsInRow, QUOTIENT, ROOT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };

/** What is added to the mean square before its root is taken. */
export interface RmsNormParams {
  readonly epsilon: number;
}

function bind(inputs: readonly ArrayType[], { epsilon }: RmsNormParams) {
  const bound = match("rms_norm", inputs, ["f32 *D", "f32 D"]);
  if (bound.D < 1) throw new RangeError("Cannot run rms_norm: rows have no entries");
  if (!(epsilon >= 0 && epsilon < Infinity)) {
    throw new RangeError(`Cannot run rms_norm: epsilon is ${epsilon}, it must be a number from 0`);
  }
  return bound;
}

export const rmsNorm: Kernel<RmsNormParams> = {
  name: "rms_norm",
  about:
    "y = x gain / sqrt(mean(x^2) + epsilon) along the last axis, and the inverse of that root for each row.",
  outputs(inputs, params) {
    const { rows } = bind(inputs, params);
    return [inputs[0], f32(rows)];
  },
  reference([x, gain], [y, inverse], types, params) {
    const { rows, D } = bind(types, params);
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += x[row * D + d] ** 2;
      inverse[row] = 1 / Math.sqrt(sum / D + params.epsilon);
      for (let d = 0; d < D; d++) y[row * D + d] = x[row * D + d] * inverse[row] * gain[d];
    }
  },
  wasm: "rmsNorm",
  cpu(inputs, params) {
    const { rows, D } = bind(inputs, params);
    return {
      units: rows,
      grain: Math.max(1, Math.floor(16384 / Math.max(16, D))),
      integers: [D],
      floats: [params.epsilon],
    };
  },
  wgsl: [lanes + program],
  gpu(inputs, params, facts) {
    const { rows, D } = bind(inputs, params);
    const floats = [params.epsilon];
    return {
      passes: [{ program: lanes + program, integers: [rows, D], floats, ...forRows(rows, D, facts) }],
    };
  },
  cost(inputs, params) {
    const { rows, D } = bind(inputs, params);
    return { flop: 4 * rows * D, bytes: bytesOf(...inputs, inputs[0], f32(rows)) };
  },
  rounding(inputs, params) {
    // Sixteen sums of positive terms, two roundings a term and five to add them; the root halves that. Then the
    // root's own rounding, epsilon's, and two products.
    return Math.ceil(bind(inputs, params).D / 16) + 3 + 4;
  },
  // The sum of squares and its mean count half under the root; then the root, the inverse and two products.
  gpuRounding(inputs, params) {
    return Math.ceil((additionsInRow(bind(inputs, params).D) + 1 + QUOTIENT) / 2) + ROOT + QUOTIENT + 3;
  },
  cases: [
    normCase("odd width", [7, 19]),
    normCase("whole vectors", [9, 64]),
    normCase("three dimensions", [3, 5, 37]),
    normCase("one row", [33]),
    normCase("one element", [1]),
    normCase("narrow", [6, 3]),
    normCase("wide", [3, 4099]),
    normCase("many rows", [1500, 20]),
    normCase("small values", [4, 20], 1e-4),
    normCase("large values", [4, 20], 1e8),
    normCase("no rows", [0, 8]),
  ],
};

function normCase(about: string, shape: number[], scale = 1): Case<RmsNormParams> {
  return {
    about,
    inputs: [
      { type: f32(...shape), fill: { kind: "normal", scale } },
      { type: f32(shape[shape.length - 1]), fill: { kind: "normal" } },
    ],
    params: { epsilon: 2 ** -20 },
  };
}
