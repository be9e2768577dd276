// Gradient of rms_norm for its input. The part along x goes away, because a longer row normalizes to the same one.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match, shapeText } from "../kernel.ts";
import { forRows } from "../parts/grid.ts";
import { additionsInRow, QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };

function bind(inputs: readonly ArrayType[]) {
  const bound = match("rms_norm_gradient", inputs, ["f32 *D", "f32 D", "f32 R", "f32 *D"]);
  if (bound.R !== bound.rows) {
    throw new RangeError(
      `Cannot run rms_norm_gradient: ${bound.rows} rows need as many inverse roots, not ${
        shapeText(inputs[2].shape)
      }`,
    );
  }
  if (bound.D < 1) throw new RangeError("Cannot run rms_norm_gradient: rows have no entries");
  return bound;
}

export const rmsNormGradient: Kernel<Record<string, never>> = {
  name: "rms_norm_gradient",
  about: "dx = r gain g - x r^3 mean(gain g x) for each row, where r is the row's inverse root mean square.",
  outputs(inputs) {
    bind(inputs);
    return [inputs[0]];
  },
  reference([x, gain, inverse, g], [dx], types) {
    const { rows, D } = bind(types);
    for (let row = 0; row < rows; row++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += gain[d] * g[row * D + d] * x[row * D + d];
      for (let d = 0; d < D; d++) {
        const at = row * D + d;
        dx[at] = inverse[row] * gain[d] * g[at] - x[at] * inverse[row] ** 3 * dot / D;
      }
    }
  },
  wasm: "rmsNormGradient",
  cpu(inputs) {
    const { rows, D } = bind(inputs);
    return { units: rows, grain: Math.max(1, Math.floor(16384 / Math.max(16, D))), integers: [D] };
  },
  wgsl: [lanes + program],
  gpu(inputs, _params, facts) {
    const { rows, D } = bind(inputs);
    return { passes: [{ program: lanes + program, integers: [rows, D], ...forRows(rows, D, facts) }] };
  },
  cost(inputs) {
    const { rows, D } = bind(inputs);
    return { flop: 8 * rows * D, bytes: bytesOf(...inputs, inputs[0]) };
  },
  rounding(inputs) {
    // The dot's sixteen sums: three roundings a term and five to add them. Its mean times r^2 is at most the root mean
    // square of gain g, but x r in front of it may reach sqrt(D). Then four roundings more.
    const { D } = bind(inputs);
    return (3 * Math.ceil(D / 16) + 5) * Math.sqrt(D) + 4;
  },
  // As `rounding`, with the additions of a row here and the quotient of the mean.
  gpuRounding(inputs) {
    const { D } = bind(inputs);
    return (additionsInRow(D) + 2 + QUOTIENT) * Math.sqrt(D) + 5;
  },
  cases: [
    gradientCase("odd width", [7, 19]),
    gradientCase("whole vectors", [9, 64]),
    gradientCase("three dimensions", [3, 5, 37]),
    gradientCase("one row", [33]),
    gradientCase("one element", [1]),
    gradientCase("narrow", [6, 3]),
    gradientCase("wide", [3, 4099]),
    gradientCase("many rows", [1500, 20]),
    gradientCase("no rows", [0, 8]),
  ],
};

/** The inverse roots are those of rows of standard normal numbers, give or take. */
function gradientCase(about: string, shape: number[]): Case<Record<string, never>> {
  const D = shape[shape.length - 1];
  return {
    about,
    inputs: [
      { type: f32(...shape), fill: { kind: "normal" } },
      { type: f32(D), fill: { kind: "normal" } },
      {
        type: f32(shape.slice(0, -1).reduce((a, b) => a * b, 1)),
        fill: { kind: "uniform", low: 0.5, high: 1.5 },
      },
      { type: f32(...shape), fill: { kind: "normal" } },
    ],
    params: {},
  };
}
