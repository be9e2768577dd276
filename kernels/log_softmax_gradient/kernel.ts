// Gradient of log softmax, from its result: the input is not needed.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor, sameShape } from "../parts/elementwise.ts";
import { forRows } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import rowGradient from "../parts/row_gradient.wgsl" with { type: "text" };

const PATTERNS = ["f32 *C", "f32 *C"];
const code = lanes + math + rowGradient + program;

export const logSoftmaxGradient: Kernel<Record<string, never>> = {
  name: "log_softmax_gradient",
  about: "dx = g - exp(y) sum(g), row by row, where y is the log softmax.",
  outputs(inputs) {
    match("log_softmax_gradient", inputs, PATTERNS);
    sameShape("log_softmax_gradient", inputs);
    return [inputs[0]];
  },
  reference([y, g], [dx], types) {
    const { rows, C } = match("log_softmax_gradient", types, PATTERNS);
    for (let at = 0; at < rows * C; at += C) {
      let sum = 0;
      for (let i = at; i < at + C; i++) sum += g[i];
      for (let i = at; i < at + C; i++) dx[i] = g[i] - Math.exp(y[i]) * sum;
    }
  },
  wasm: "logSoftmaxGradient",
  cpu(inputs) {
    const { rows, C } = match("log_softmax_gradient", inputs, PATTERNS);
    return { units: rows, grain: grainFor(C * 1.2 + 8), integers: [C] };
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const { rows, C } = match("log_softmax_gradient", inputs, PATTERNS);
    return { passes: [{ program: code, integers: [rows, C], ...forRows(rows, C, facts) }] };
  },
  cost(inputs) {
    const { rows, C } = match("log_softmax_gradient", inputs, PATTERNS);
    return { flop: 23 * rows * C, bytes: bytesOf(inputs[0], ...inputs) };
  },
  // The sum, the exponential (2), their product and the difference.
  rounding(inputs) {
    return match("log_softmax_gradient", inputs, PATTERNS).C + 5;
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

function gradientCase(about: string, shape: number[]): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(...shape), fill: { kind: "uniform", low: -9, high: 0 } },
      { type: f32(...shape), fill: { kind: "normal" } },
    ],
    params: {},
  };
}
