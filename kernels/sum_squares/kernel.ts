// The squared length of an array, for the norm of gradients: f64 throughout, so that millions of terms lose nothing.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { elements } from "../elementwise.ts";

export const sumSquares: Kernel<Record<string, never>> = {
  name: "sum_squares",
  about: "Sum of the squares of all elements.",
  outputs(inputs) {
    match("sum_squares", inputs, ["f32 *"]);
    return [f32(1)];
  },
  reference([x], [y]) {
    for (const value of x) y[0] += value * value;
  },
  wasm: "sumSquares",
  cpu(inputs) {
    return { units: 1, grain: 1, integers: [elements(inputs)] };
  },
  cost(inputs) {
    return { flop: 2 * elements(inputs), bytes: bytesOf(...inputs, f32(1)) };
  },
  rounding: () => 1,
  cases: [
    sumSquaresCase("odd size", [3, 7]),
    sumSquaresCase("one element", [1]),
    sumSquaresCase("empty", [0]),
    sumSquaresCase("several blocks", [3, 4001]),
    sumSquaresCase("squares that underflow f32", [21], 1e-25),
    sumSquaresCase("squares that overflow f32", [21], 1e25),
  ],
};

function sumSquaresCase(about: string, shape: number[], scale = 1): Case<Record<string, never>> {
  return { about, inputs: [{ type: f32(...shape), fill: { kind: "normal", scale } }], params: {} };
}
