// The squared length of an array, for the norm of gradients: f64 throughout, so that millions of terms lose nothing.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { elements } from "../elementwise.ts";
import { grid } from "../grid.ts";
import { additionsInRow } from "../accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../lanes.wgsl" with { type: "text" };
import { columnBlocks, columnSum } from "../sums.ts";
import sums from "../sum_last/gpu.wgsl" with { type: "text" };

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
  wgsl: [lanes + program, lanes + sums],
  gpu(inputs, _params, facts) {
    const size = elements(inputs);
    const { blocks, columnsPerBlock } = columnBlocks(size);
    const squares = {
      program: lanes + program,
      integers: [size, blocks, columnsPerBlock],
      workgroups: grid(blocks, facts),
    };
    if (blocks === 1) return { passes: [squares] };
    const sum = { ...columnSum(lanes + sums, 1, blocks, blocks, facts), reads: [2], writes: [1] };
    return { scratch: [f32(blocks)], passes: [{ ...squares, writes: [2] }, sum] };
  },
  cost(inputs) {
    return { flop: 2 * elements(inputs), bytes: bytesOf(...inputs, f32(1)) };
  },
  rounding: () => 1,
  // The square, the sums of a block (256 parts and their tree) and the sum of blocks.
  gpuRounding(inputs) {
    const { blocks, columnsPerBlock } = columnBlocks(elements(inputs));
    const inBlock = Math.ceil(Math.min(elements(inputs), columnsPerBlock) / 256) + 8;
    return 1 + inBlock + (blocks > 1 ? additionsInRow(blocks) : 0);
  },
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
