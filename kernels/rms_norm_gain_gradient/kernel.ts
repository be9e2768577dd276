// Gradient of rms_norm for its gain: a sum over all rows.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match, shapeText } from "../kernel.ts";
import program from "./gpu.wgsl" with { type: "text" };
import columnSums from "../parts/column_sums.wgsl" with { type: "text" };
import { sumRows } from "../parts/sums.ts";
import sums from "../sum_first/gpu.wgsl" with { type: "text" };

const code = columnSums + program;
const next = columnSums + sums;

function bind(inputs: readonly ArrayType[]) {
  const bound = match("rms_norm_gain_gradient", inputs, ["f32 *D", "f32 R", "f32 *D"]);
  if (bound.R !== bound.rows) {
    throw new RangeError(
      `Cannot run rms_norm_gain_gradient: ${bound.rows} rows need as many inverse roots, not ${
        shapeText(inputs[1].shape)
      }`,
    );
  }
  return bound;
}

export const rmsNormGainGradient: Kernel<Record<string, never>> = {
  name: "rms_norm_gain_gradient",
  about: "dgain = sum over rows of x r g, where r is the row's inverse root mean square.",
  outputs(inputs) {
    return [f32(bind(inputs).D)];
  },
  reference([x, inverse, g], [dgain], types) {
    const { rows, D } = bind(types);
    for (let row = 0; row < rows; row++) {
      for (let d = 0; d < D; d++) dgain[d] += x[row * D + d] * inverse[row] * g[row * D + d];
    }
  },
  wasm: "rmsNormGainGradient",
  cpu(inputs) {
    const { rows, D } = bind(inputs);
    return {
      units: Math.ceil(D / 16),
      grain: Math.max(1, Math.floor(1024 / Math.max(1, rows))),
      integers: [rows, D],
    };
  },
  wgsl: [code, next],
  gpu(inputs, _params, facts) {
    const { rows, D } = bind(inputs);
    return sumRows(code, inputs.length, rows, D, next, facts);
  },
  cost(inputs) {
    const { rows, D } = bind(inputs);
    return { flop: 3 * rows * D, bytes: bytesOf(...inputs, f32(D)) };
  },
  rounding(inputs) {
    return bind(inputs).rows + 2;
  },
  cases: [
    gainCase("odd width", [7, 19]),
    gainCase("whole blocks", [30, 64]),
    gainCase("three dimensions", [3, 5, 37]),
    gainCase("several runs of rows", [777, 21]),
    gainCase("one row", [33]),
    gainCase("one element", [1]),
    gainCase("no rows", [0, 8]),
    gainCase("no columns", [3, 0]),
  ],
};

function gainCase(about: string, shape: number[]): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(...shape), fill: { kind: "normal" } },
      {
        type: f32(shape.slice(0, -1).reduce((a, b) => a * b, 1)),
        fill: { kind: "uniform", low: 0.5, high: 1.5 },
      },
      { type: f32(...shape), fill: { kind: "normal" } },
    ],
    params: {},
  };
}
