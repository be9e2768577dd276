// Sum along the last axis. Blocks of 1024 terms are summed in f32 and joined in f64, so long rows stay exact.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor, withoutLast } from "../parts/elementwise.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import { sumColumns } from "../parts/sums.ts";

export const sumLast: Kernel<Record<string, never>> = {
  name: "sum_last",
  about: "Sum of each row: the last axis goes; a one-dimensional array gives one number.",
  outputs(inputs) {
    match("sum_last", inputs, ["f32 *C"]);
    return [f32(...withoutLast(inputs[0].shape))];
  },
  reference([x], [y], types) {
    const { C } = match("sum_last", types, ["f32 *C"]);
    for (let row = 0; row < y.length; row++) {
      let sum = 0;
      for (let column = 0; column < C; column++) sum += x[row * C + column];
      y[row] = sum;
    }
  },
  wasm: "sumLast",
  cpu(inputs) {
    const { rows, C } = match("sum_last", inputs, ["f32 *C"]);
    return { units: rows, grain: grainFor(C * 0.2 + 4), integers: [C] };
  },
  wgsl: [lanes + program],
  gpu(inputs, _params, facts) {
    const { rows, C } = match("sum_last", inputs, ["f32 *C"]);
    return sumColumns(lanes + program, rows, C, facts);
  },
  cost(inputs) {
    const { rows, C } = match("sum_last", inputs, ["f32 *C"]);
    return { flop: rows * C, bytes: bytesOf(...inputs, f32(rows)) };
  },
  rounding(inputs) {
    return match("sum_last", inputs, ["f32 *C"]).C + 1;
  },
  cases: [
    sumLastCase("odd size", [5, 7]),
    sumLastCase("three dimensions", [3, 4, 16]),
    sumLastCase("one dimension", [37]),
    sumLastCase("one element", [1]),
    sumLastCase("no rows", [0, 4]),
    sumLastCase("no columns", [3, 0]),
    sumLastCase("many narrow rows", [5000, 3]),
    sumLastCase("several blocks", [3, 5003]),
    {
      about: "large values",
      inputs: [{ type: f32(3, 21), fill: { kind: "normal", scale: 1e30 } }],
      params: {},
    },
  ],
};

function sumLastCase(about: string, shape: number[]): Case<Record<string, never>> {
  return { about, inputs: [{ type: f32(...shape), fill: { kind: "normal" } }], params: {} };
}
