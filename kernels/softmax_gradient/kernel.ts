// Gradient of softmax, from its result: the input is not needed.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor, sameShape } from "../parts/elementwise.ts";
import { forRows } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import rowGradient from "../parts/row_gradient.wgsl" with { type: "text" };

const PATTERNS = ["f32 *C", "f32 *C"];
const code = lanes + rowGradient + program;

export const softmaxGradient: Kernel<Record<string, never>> = {
  name: "softmax_gradient",
  about: "dx = y (g - sum(y g)), row by row, where y is the softmax.",
  outputs(inputs) {
    match("softmax_gradient", inputs, PATTERNS);
    sameShape("softmax_gradient", inputs);
    return [inputs[0]];
  },
  reference([y, g], [dx], types) {
    const { rows, C } = match("softmax_gradient", types, PATTERNS);
    for (let at = 0; at < rows * C; at += C) {
      let dot = 0;
      for (let i = at; i < at + C; i++) dot += y[i] * g[i];
      for (let i = at; i < at + C; i++) dx[i] = y[i] * (g[i] - dot);
    }
  },
  wasm: "softmaxGradient",
  cpu(inputs) {
    const { rows, C } = match("softmax_gradient", inputs, PATTERNS);
    return { units: rows, grain: grainFor(C * 0.6 + 8), integers: [C] };
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const { rows, C } = match("softmax_gradient", inputs, PATTERNS);
    return { passes: [{ program: code, integers: [rows, C], ...forRows(rows, C, facts) }] };
  },
  cost(inputs) {
    const { rows, C } = match("softmax_gradient", inputs, PATTERNS);
    return { flop: 4 * rows * C, bytes: bytesOf(inputs[0], ...inputs) };
  },
  rounding(inputs) {
    return match("softmax_gradient", inputs, PATTERNS).C + 3;
  },
  cases: [
    gradientCase("odd size", [5, 7]),
    gradientCase("three dimensions", [3, 4, 16]),
    gradientCase("one dimension", [37]),
    gradientCase("one element", [1]),
    gradientCase("no rows", [0, 4]),
    gradientCase("no columns", [3, 0]),
    gradientCase("many narrow rows", [3000, 8]),
    gradientCase("several blocks", [3, 2053]),
  ],
};

/** Values about as large as probabilities of that many columns. */
function gradientCase(about: string, shape: number[]): Case<Record<string, never>> {
  const columns = Math.max(1, shape[shape.length - 1]);
  return {
    about,
    inputs: [
      { type: f32(...shape), fill: { kind: "uniform", low: 0, high: 2 / columns } },
      { type: f32(...shape), fill: { kind: "normal" } },
    ],
    params: {},
  };
}
