// Long sums on a GPU: rows or columns are cut into blocks so that many workgroups share the work, and the sums of blocks
// are summed again until one is left.
import { f32, type GpuFacts, type GpuLaunch, type GpuPass } from "../kernel.ts";
import { forRows, grid } from "./grid.ts";

const ROWS_A_BLOCK = 256;
const COLUMNS_A_BLOCK = 8192;

/**
 * Sums of columns over all rows. `first` reads the kernel's `inputs` arrays; `next` is sum_first's program, which sums
 * what blocks of rows left.
 */
export function sumRows(
  first: string,
  inputs: number,
  rows: number,
  columns: number,
  next: string,
  facts: GpuFacts,
): GpuLaunch {
  const strips = Math.ceil(columns / 32);
  const pass = (program: string, count: number): GpuPass & { readonly blocks: number } => {
    const blocks = Math.max(1, Math.ceil(count / ROWS_A_BLOCK));
    const integers = [count, columns, blocks, ROWS_A_BLOCK];
    return { program, integers, blocks, workgroups: grid(blocks * strips, facts) };
  };
  const passes = [pass(first, rows)];
  while (passes[passes.length - 1].blocks > 1) passes.push(pass(next, passes[passes.length - 1].blocks));
  const scratch = passes.slice(0, -1).map(({ blocks }) => f32(blocks, columns));
  return { scratch, passes: chained(passes, inputs) };
}

/** Each pass reads what the one before wrote to scratch; the last writes the output. */
function chained(passes: readonly GpuPass[], inputs: number): GpuPass[] {
  return passes.map((pass, at) => ({
    ...pass,
    ...(at > 0 ? { reads: [inputs + at] } : {}),
    writes: [at < passes.length - 1 ? inputs + 1 + at : inputs],
  }));
}

/** Sums of rows, `program` being sum_last's. */
export function sumColumns(program: string, rows: number, columns: number, facts: GpuFacts): GpuLaunch {
  const passes: GpuPass[] = [];
  const scratch = [];
  for (let left = columns;;) {
    const { blocks } = columnBlocks(left);
    passes.push(columnSum(program, rows, left, blocks === 1 ? left : COLUMNS_A_BLOCK, facts));
    if (blocks === 1) break;
    scratch.push(f32(rows, blocks));
    left = blocks;
  }
  return { scratch, passes: chained(passes, 1) };
}

/** How a row is cut. */
export function columnBlocks(columns: number): { blocks: number; columnsPerBlock: number } {
  return { blocks: Math.max(1, Math.ceil(columns / COLUMNS_A_BLOCK)), columnsPerBlock: COLUMNS_A_BLOCK };
}

/** One pass of sum_last's program. */
export function columnSum(
  program: string,
  rows: number,
  columns: number,
  columnsPerBlock: number,
  facts: GpuFacts,
): GpuPass {
  const blocks = Math.max(1, Math.ceil(columns / Math.max(1, columnsPerBlock)));
  const integers = [rows, columns, blocks, columnsPerBlock];
  return blocks === 1
    ? { program, integers, ...forRows(rows, columns, facts) }
    : { program, integers, entry: "wide", workgroups: grid(rows * blocks, facts) };
}
