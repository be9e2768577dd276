// Sum over all rows, the gradient of whatever was repeated for each row (a bias, a gain).
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor } from "../parts/elementwise.ts";
import program from "./gpu.wgsl" with { type: "text" };
import columnSums from "../parts/column_sums.wgsl" with { type: "text" };
import { sumRows } from "../parts/sums.ts";

const code = columnSums + program;

export const sumFirst: Kernel<Record<string, never>> = {
  name: "sum_first",
  about: "Sum of each column over all leading axes.",
  outputs(inputs) {
    return [f32(match("sum_first", inputs, ["f32 *C"]).C)];
  },
  reference([x], [y], types) {
    const { rows, C } = match("sum_first", types, ["f32 *C"]);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < C; column++) y[column] += x[row * C + column];
    }
  },
  wasm: "sumFirst",
  cpu(inputs) {
    const { rows, C } = match("sum_first", inputs, ["f32 *C"]);
    return { units: Math.ceil(C / 16), grain: grainFor(rows * 4), integers: [rows, C] };
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const { rows, C } = match("sum_first", inputs, ["f32 *C"]);
    return sumRows(code, inputs.length, rows, C, code, facts);
  },
  cost(inputs) {
    const { rows, C } = match("sum_first", inputs, ["f32 *C"]);
    return { flop: rows * C, bytes: bytesOf(...inputs, f32(C)) };
  },
  rounding(inputs) {
    return match("sum_first", inputs, ["f32 *C"]).rows + 1;
  },
  cases: [
    sumFirstCase("odd size", [5, 7]),
    sumFirstCase("three dimensions", [3, 4, 33]),
    sumFirstCase("one dimension", [37]),
    sumFirstCase("one element", [1]),
    sumFirstCase("no rows", [0, 21]),
    sumFirstCase("no columns", [3, 0]),
    sumFirstCase("one column", [1001, 1]),
    sumFirstCase("several blocks of rows and columns", [1001, 50]),
  ],
};

function sumFirstCase(about: string, shape: number[]): Case<Record<string, never>> {
  return { about, inputs: [{ type: f32(...shape), fill: { kind: "normal" } }], params: {} };
}
