// Gradient of rows divided by their sums, y = x / sum(x), from the result and the sums.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor } from "../parts/elementwise.ts";
import { forRows } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import rowGradient from "../parts/row_gradient.wgsl" with { type: "text" };

const code = lanes + rowGradient + program;

function bind(inputs: readonly ArrayType[]) {
  return match("row_share_gradient", inputs, ["f32 RC", "f32 R", "f32 RC"]);
}

export const rowShareGradient: Kernel<Record<string, never>> = {
  name: "row_share_gradient",
  about: "dx = (g - sum(y g)) / total, row by row, where y = x / total and total = sum(x).",
  outputs(inputs) {
    bind(inputs);
    return [inputs[0]];
  },
  reference([y, total, g], [dx], types) {
    const { R, C } = bind(types);
    for (let at = 0; at < R * C; at += C) {
      let dot = 0;
      for (let i = at; i < at + C; i++) dot += y[i] * g[i];
      for (let i = at; i < at + C; i++) dx[i] = (g[i] - dot) / total[at / C];
    }
  },
  wasm: "rowShareGradient",
  cpu(inputs) {
    const { R, C } = bind(inputs);
    return { units: R, grain: grainFor(C * 0.6 + 8), integers: [C] };
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const { R, C } = bind(inputs);
    return { passes: [{ program: code, integers: [R, C], ...forRows(R, C, facts) }] };
  },
  cost(inputs) {
    const { R, C } = bind(inputs);
    return { flop: 4 * R * C, bytes: bytesOf(inputs[0], ...inputs) };
  },
  rounding(inputs) {
    // Totals of the cases, and of probabilities' shares, are no smaller than 1/2.
    return 2 * (bind(inputs).C + 3);
  },
  gpuRounding: (inputs, params) => rowShareGradient.rounding(inputs, params) + QUOTIENT,
  cases: [
    gradientCase("odd size", [5, 7]),
    gradientCase("whole vectors", [12, 16]),
    gradientCase("two of each", [900, 2]),
    gradientCase("one element", [1, 1]),
    gradientCase("no rows", [0, 4]),
    gradientCase("no columns", [3, 0]),
    gradientCase("several blocks", [3, 2053]),
  ],
};

/** Values about as large as shares of that many columns. */
function gradientCase(about: string, shape: [number, number]): Case<Record<string, never>> {
  const columns = Math.max(1, shape[1]);
  return {
    about,
    inputs: [
      { type: f32(...shape), fill: { kind: "uniform", low: 0, high: 2 / columns } },
      { type: f32(shape[0]), fill: { kind: "uniform", low: 0.5, high: 1 } },
      { type: f32(...shape), fill: { kind: "normal" } },
    ],
    params: {},
  };
}
