// log sum e^x of rows, with the largest value taken out first. Routers' z-loss is its square.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor, withoutLast } from "../parts/elementwise.ts";
import { forRows } from "../parts/grid.ts";
import { additionsInRow } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import frame from "../parts/row_logsumexp.wgsl" with { type: "text" };

const EXP_FLOP = 20;

const code = math + lanes + frame + program;

export const logsumexp: Kernel<Record<string, never>> = {
  name: "logsumexp",
  about: "log of the sum of e^x along the last axis; -infinity where there is nothing but -infinity.",
  outputs(inputs) {
    match("logsumexp", inputs, ["f32 *C"]);
    return [f32(...withoutLast(inputs[0].shape))];
  },
  reference([x], [y], types) {
    const { rows, C } = match("logsumexp", types, ["f32 *C"]);
    for (let row = 0; row < rows; row++) {
      let largest = -Infinity;
      for (let i = row * C; i < (row + 1) * C; i++) largest = Math.max(largest, x[i]);
      if (largest === -Infinity) largest = 0;
      let sum = 0;
      for (let i = row * C; i < (row + 1) * C; i++) sum += Math.exp(x[i] - largest);
      y[row] = largest + Math.log(sum);
    }
  },
  wasm: "logsumexp",
  cpu(inputs) {
    const { rows, C } = match("logsumexp", inputs, ["f32 *C"]);
    return { units: rows, grain: grainFor(C + 20), integers: [C] };
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const { rows, C } = match("logsumexp", inputs, ["f32 *C"]);
    return { passes: [{ program: code, integers: [rows, C], ...forRows(rows, C, facts) }] };
  },
  cost(inputs) {
    const { rows, C } = match("logsumexp", inputs, ["f32 *C"]);
    return { flop: rows * C * (EXP_FLOP + 3), bytes: bytesOf(...inputs, f32(rows)) };
  },
  // As for softmax; a relative error of the sum is an absolute one of its logarithm.
  rounding(inputs) {
    return Math.ceil(Math.min(1024, match("logsumexp", inputs, ["f32 *C"]).C) / 8) + 12;
  },
  gpuRounding(inputs) {
    return additionsInRow(match("logsumexp", inputs, ["f32 *C"]).C) + 12;
  },
  cases: [
    logsumexpCase("odd size", [5, 7]),
    logsumexpCase("three dimensions", [3, 4, 16]),
    logsumexpCase("one dimension", [37]),
    logsumexpCase("one element", [1]),
    logsumexpCase("no rows", [0, 4]),
    logsumexpCase("no columns", [3, 0]),
    logsumexpCase("many narrow rows", [3000, 8]),
    logsumexpCase("several blocks", [3, 2053]),
    logsumexpCase("large values", [7, 29], 1e4),
    {
      about: "masked entries, infinity and NaN",
      inputs: [{
        type: f32(4, 3),
        fill: {
          kind: "values",
          values: [1, -Infinity, 2, -Infinity, -Infinity, -Infinity, 1, NaN, 2, -3e38, 3e38, 0],
        },
      }],
      params: {},
    },
  ],
};

function logsumexpCase(about: string, shape: number[], scale = 2): Case<Record<string, never>> {
  return { about, inputs: [{ type: f32(...shape), fill: { kind: "normal", scale } }], params: {} };
}
