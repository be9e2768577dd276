// The squared length of all arrays together, for the norm of gradients: f64 within an array, so that millions of terms
// lose nothing; the arrays' sums are added in order.
import {
  type ArrayType,
  bytesOf,
  type Case,
  type CaseInput,
  f32,
  type GpuPass,
  type Kernel,
  sizeOf,
} from "../kernel.ts";
import { grid } from "../parts/grid.ts";
import { additionsInRow } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import { columnBlocks, columnSum } from "../parts/sums.ts";
import sums from "../sum_last/gpu.wgsl" with { type: "text" };

/** How many arrays there are, of any shapes. */
export interface SumSquaresParams {
  readonly arrays: number;
}

export const sumSquares: Kernel<SumSquaresParams> = {
  name: "sum_squares",
  about: "Sum of the squares of all elements of some arrays.",
  outputs(inputs, { arrays }) {
    if (!Number.isInteger(arrays) || arrays < 1) {
      throw new RangeError(`Cannot run sum_squares: arrays must be a whole number from 1, not ${arrays}`);
    }
    if (inputs.length !== arrays) {
      throw new TypeError(`Cannot run sum_squares: it takes ${arrays} inputs, not ${inputs.length}`);
    }
    const other = inputs.findIndex(({ dtype }) => dtype !== "f32");
    if (other >= 0) {
      throw new TypeError(`Cannot run sum_squares: input ${other} must be f32, not ${inputs[other].dtype}`);
    }
    return [f32(1)];
  },
  reference(inputs, [y]) {
    for (const x of inputs) for (const value of x) y[0] += value * value;
  },
  wasm: "sumSquares",
  cpu(inputs) {
    return { units: 1, grain: 1, leading: [inputs.length, ...inputs.map(({ shape }) => sizeOf(shape))] };
  },
  wgsl: [lanes + program, lanes + sums],
  gpu(inputs, _params, facts) {
    const output = inputs.length;
    const scratch: ArrayType[] = [];
    const passes: GpuPass[] = [];
    /** A new scratch array's number. */
    const scratchOf = (count: number) => output + scratch.push(f32(count));
    let before = 0;
    for (const [at, { shape }] of inputs.entries()) {
      const size = sizeOf(shape);
      const { blocks, columnsPerBlock } = columnBlocks(size);
      const sum = at === inputs.length - 1 ? output : scratchOf(1);
      const ofBlocks = blocks === 1 ? sum : scratchOf(blocks);
      passes.push({
        program: lanes + program,
        reads: [at, at === 0 ? at : before],
        writes: [ofBlocks],
        constants: { GOES_ON: Number(at > 0) },
        integers: [size, blocks, columnsPerBlock],
        workgroups: grid(blocks, facts),
      });
      if (blocks > 1) {
        passes.push({
          ...columnSum(lanes + sums, 1, blocks, blocks, facts),
          reads: [ofBlocks],
          writes: [sum],
        });
      }
      before = sum;
    }
    return { scratch, passes };
  },
  cost(inputs) {
    return {
      flop: inputs.reduce((sum, { shape }) => sum + 2 * sizeOf(shape), 0),
      bytes: bytesOf(...inputs, f32(1)),
    };
  },
  rounding: (inputs) => inputs.length,
  // The square, the sums of a block (256 parts and their tree) and the sum of blocks, of the longest; then arrays' sums.
  gpuRounding(inputs) {
    const size = Math.max(...inputs.map(({ shape }) => sizeOf(shape)));
    const { blocks, columnsPerBlock } = columnBlocks(size);
    const inBlock = Math.ceil(Math.min(size, columnsPerBlock) / 256) + 8;
    return inputs.length + inBlock + (blocks > 1 ? additionsInRow(blocks) : 0);
  },
  cases: [
    sumSquaresCase("odd size", [[3, 7]]),
    sumSquaresCase("one element", [[1]]),
    sumSquaresCase("empty", [[0]]),
    sumSquaresCase("several blocks", [[3, 4001]]),
    sumSquaresCase("two arrays", [[3, 7], [9]]),
    sumSquaresCase("an empty one between two", [[5], [0], [2, 3]]),
    sumSquaresCase("several blocks in each", [[3, 8001], [9001]]),
    sumSquaresCase("squares that underflow f32", [[21]], 1e-25),
    sumSquaresCase("squares that overflow f32", [[21]], 1e25),
  ],
};

function sumSquaresCase(about: string, shapes: number[][], scale = 1): Case<SumSquaresParams> {
  return {
    about,
    inputs: shapes.map((shape): CaseInput => ({ type: f32(...shape), fill: { kind: "normal", scale } })),
    params: { arrays: shapes.length },
  };
}
