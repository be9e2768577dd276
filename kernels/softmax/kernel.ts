// Softmax of rows. The largest value is subtracted first, so no exponential overflows.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor } from "../parts/elementwise.ts";
import { forRows } from "../parts/grid.ts";
import { additionsInRow, QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };

const EXP_FLOP = 20;

export const softmax: Kernel<Record<string, never>> = {
  name: "softmax",
  about: "e^x over its sum, row by row along the last axis; a row of nothing but -infinity gives NaN.",
  outputs(inputs) {
    match("softmax", inputs, ["f32 *C"]);
    return [inputs[0]];
  },
  reference([x], [y], types) {
    const { rows, C } = match("softmax", types, ["f32 *C"]);
    for (let at = 0; at < rows * C; at += C) {
      let largest = -Infinity;
      for (let i = at; i < at + C; i++) largest = Math.max(largest, x[i]);
      let sum = 0;
      for (let i = at; i < at + C; i++) sum += Math.exp(x[i] - largest);
      for (let i = at; i < at + C; i++) y[i] = Math.exp(x[i] - largest) / sum;
    }
  },
  wasm: "softmax",
  cpu(inputs) {
    const { rows, C } = match("softmax", inputs, ["f32 *C"]);
    return { units: rows, grain: grainFor(C * 1.2 + 20), integers: [C] };
  },
  wgsl: [math + lanes + program],
  gpu(inputs, _params, facts) {
    const { rows, C } = match("softmax", inputs, ["f32 *C"]);
    return { passes: [{ program: math + lanes + program, integers: [rows, C], ...forRows(rows, C, facts) }] };
  },
  cost(inputs) {
    const { rows, C } = match("softmax", inputs, ["f32 *C"]);
    return { flop: rows * C * (EXP_FLOP + 4), bytes: 2 * bytesOf(...inputs) };
  },
  // A lane sums at most 128 terms before f64 takes over; the rest is the exponential (2 ulp, its argument rounded)
  // and the division.
  rounding(inputs) {
    return Math.ceil(Math.min(1024, match("softmax", inputs, ["f32 *C"]).C) / 8) + 12;
  },
  gpuRounding(inputs) {
    return additionsInRow(match("softmax", inputs, ["f32 *C"]).C) + 11 + QUOTIENT;
  },
  cases: [
    softmaxCase("odd size", [5, 7]),
    softmaxCase("three dimensions", [3, 4, 16]),
    softmaxCase("one dimension", [37]),
    softmaxCase("one element", [1]),
    softmaxCase("no rows", [0, 4]),
    softmaxCase("no columns", [3, 0]),
    softmaxCase("many narrow rows", [3000, 8]),
    softmaxCase("several blocks", [3, 2053]),
    softmaxCase("large values", [7, 29], 1e4),
    {
      about: "masked entries, infinity and NaN",
      inputs: [{
        type: f32(5, 6),
        fill: {
          kind: "values",
          values: [
            ...[1, -Infinity, 2, -Infinity, -Infinity, 3],
            ...[-Infinity, -Infinity, -Infinity, -Infinity, -Infinity, -Infinity],
            ...[1, Infinity, 2, 3, 4, 5],
            ...[1, 2, NaN, 3, 4, 5],
            ...[-3e38, 3e38, 0, 1, 2, 3],
          ],
        },
      }],
      params: {},
    },
  ],
};

function softmaxCase(about: string, shape: number[], scale = 2): Case<Record<string, never>> {
  return { about, inputs: [{ type: f32(...shape), fill: { kind: "normal", scale } }], params: {} };
}
