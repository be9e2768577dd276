// The squared length of an array, for the norm of gradients: f64 throughout, so that millions of terms lose nothing. A
// sum to go on from makes one chain of many arrays.
import { bytesOf, type Case, type CaseInput, f32, type Kernel, match, shapeText } from "../kernel.ts";
import { elements } from "../parts/elementwise.ts";
import { grid } from "../parts/grid.ts";
import { additionsInRow } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import { columnBlocks, columnSum } from "../parts/sums.ts";
import sums from "../sum_last/gpu.wgsl" with { type: "text" };

export const sumSquares: Kernel<Record<string, never>> = {
  name: "sum_squares",
  about: "Sum of the squares of all elements, plus a second input [1] if there is one.",
  outputs(inputs) {
    match("sum_squares", inputs, ["f32 *", ...(inputs.length > 1 ? ["f32 S"] : [])]);
    if (inputs.length > 1 && inputs[1].shape[0] !== 1) {
      throw new RangeError(
        `Cannot run sum_squares: input 1, a sum, must have shape [1], not ${shapeText(inputs[1].shape)}`,
      );
    }
    return [f32(1)];
  },
  reference([x, before], [y]) {
    for (const value of x) y[0] += value * value;
    if (before) y[0] += before[0];
  },
  wasm: "sumSquares",
  cpu(inputs) {
    return {
      units: 1,
      grain: 1,
      integers: [...inputs.length > 1 ? [] : [0], elements(inputs), inputs.length],
    };
  },
  wgsl: [lanes + program, lanes + sums],
  gpu(inputs, _params, facts) {
    const size = elements(inputs);
    const { blocks, columnsPerBlock } = columnBlocks(size);
    const squares = {
      program: lanes + program,
      reads: [0, inputs.length - 1],
      constants: { GOES_ON: Number(inputs.length > 1) },
      integers: [size, blocks, columnsPerBlock],
      workgroups: grid(blocks, facts),
    };
    if (blocks === 1) return { passes: [squares] };
    const sum = {
      ...columnSum(lanes + sums, 1, blocks, blocks, facts),
      reads: [inputs.length + 1],
      writes: [inputs.length],
    };
    return { scratch: [f32(blocks)], passes: [{ ...squares, writes: [inputs.length + 1] }, sum] };
  },
  cost(inputs) {
    return { flop: 2 * elements(inputs), bytes: bytesOf(...inputs, f32(1)) };
  },
  rounding: (inputs) => inputs.length,
  // The square, the sums of a block (256 parts and their tree) and the sum of blocks.
  gpuRounding(inputs) {
    const { blocks, columnsPerBlock } = columnBlocks(elements(inputs));
    const inBlock = Math.ceil(Math.min(elements(inputs), columnsPerBlock) / 256) + 8;
    return inputs.length + inBlock + (blocks > 1 ? additionsInRow(blocks) : 0);
  },
  cases: [
    sumSquaresCase("odd size", [3, 7]),
    sumSquaresCase("one element", [1]),
    sumSquaresCase("empty", [0]),
    sumSquaresCase("several blocks", [3, 4001]),
    sumSquaresCase("goes on", [3, 7], 1, true),
    sumSquaresCase("goes on, empty", [0], 1, true),
    sumSquaresCase("goes on, several blocks", [3, 8001], 1, true),
    sumSquaresCase("squares that underflow f32", [21], 1e-25),
    sumSquaresCase("squares that overflow f32", [21], 1e25),
  ],
};

function sumSquaresCase(
  about: string,
  shape: number[],
  scale = 1,
  goesOn = false,
): Case<Record<string, never>> {
  const inputs: CaseInput[] = [{ type: f32(...shape), fill: { kind: "normal", scale } }];
  if (goesOn) inputs.push({ type: f32(1), fill: { kind: "uniform", low: 1, high: 100 } });
  return { about, inputs, params: {} };
}
