// Two numbers in, one out. The second operand may be smaller in the three ways that models need (a scalar, one value per
// column, one value per row); general broadcasting would cost every kernel an index computation.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match, shapeText, sizeOf } from "../kernel.ts";
import { elementwise, grainFor } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** A function of two numbers; `greater` gives 1 or 0. */
export type BinaryOp = "add" | "subtract" | "multiply" | "divide" | "maximum" | "minimum" | "greater";

/** Which function to apply. */
export interface BinaryParams {
  readonly op: BinaryOp;
}

/** Every name; its place is its number in the program. */
const ops: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  maximum: Math.max,
  minimum: Math.min,
  greater: (a, b) => a > b ? 1 : 0,
};
const names = Object.keys(ops) as BinaryOp[];

const modes = ["same", "scalar", "column", "row"] as const;

function bind([a, b]: readonly ArrayType[]): { mode: typeof modes[number]; C: number; rows: number } {
  const C = a.shape[a.shape.length - 1];
  const rows = sizeOf(a.shape.slice(0, -1));
  const equal = (x: readonly number[], y: readonly number[]) => shapeText(x) === shapeText(y);
  const oneColumn = [...a.shape.slice(0, -1), 1];
  if (equal(a.shape, b.shape)) return { mode: "same", C, rows };
  if (equal(b.shape, [1])) return { mode: "scalar", C, rows };
  if (equal(b.shape, [C])) return { mode: rows === 1 ? "same" : "column", C, rows };
  if (equal(b.shape, oneColumn)) return { mode: "row", C, rows };
  throw new RangeError(
    `Cannot run binary: input 1 must have shape ${shapeText(a.shape)}, [1], [${C}] or ${
      shapeText(oneColumn)
    }, not ${shapeText(b.shape)}`,
  );
}

export const binary: Kernel<BinaryParams> = {
  name: "binary",
  about: "c = op(a, b) element by element; b has a's shape, or [1], or one value per column or per row of a.",
  outputs(inputs, { op }) {
    // Any number of axes for b here: `bind` says which shapes fit.
    match("binary", inputs, ["f32 *", "f32 " + "ABCDEFGHIJ".slice(0, inputs[1]?.shape.length)]);
    if (!names.includes(op)) {
      throw new RangeError(`Cannot run binary: there is no op "${op}", there are ${names.join(", ")}`);
    }
    bind(inputs);
    return [inputs[0]];
  },
  reference([a, b], [c], types, { op }) {
    const { mode, C } = bind(types);
    for (let i = 0; i < c.length; i++) {
      const j = { same: i, scalar: 0, column: i % C, row: Math.floor(i / C) }[mode];
      c[i] = ops[op](a[i], b[j]);
    }
  },
  wasm: "binary",
  cpu(inputs, { op }) {
    const { mode, C, rows } = bind(inputs);
    const integers = [names.indexOf(op), modes.indexOf(mode), C];
    if (mode === "same" || mode === "scalar") return elementwise(sizeOf(inputs[0].shape), 0.4, { integers });
    return { units: rows, grain: grainFor(C * 0.4 + 2), integers: [sizeOf(inputs[0].shape), ...integers] };
  },
  wgsl: [program],
  gpu(inputs, { op }, facts) {
    const { mode, C } = bind(inputs);
    const size = sizeOf(inputs[0].shape);
    const constants = { OP: names.indexOf(op), MODE: modes.indexOf(mode) };
    const entry = mode === "same" ? "same" : "other";
    const workgroups = forEach(quads(size), facts);
    return { passes: [{ program, entry, constants, integers: [size, C], workgroups }] };
  },
  cost(inputs) {
    return { flop: sizeOf(inputs[0].shape), bytes: bytesOf(inputs[0], ...inputs) };
  },
  rounding: () => 1,
  gpuRounding: (_inputs, { op }) => op === "divide" ? QUOTIENT : 1,
  cases: [
    ...names.map((op) => binaryCase(`${op}, odd size`, op, [9, 7], [9, 7])),
    ...names.map((op) => binaryCase(`${op}, scalar`, op, [9, 7], [1])),
    ...names.map((op) => binaryCase(`${op}, one value per column`, op, [9, 7], [7])),
    ...names.map((op) => binaryCase(`${op}, one value per row`, op, [3, 3, 7], [3, 3, 1])),
    ...names.map((op): Case<BinaryParams> => ({
      about: `${op}, special values`,
      inputs: [
        { type: f32(25), fill: { kind: "values", values: [0, 1, Infinity, -Infinity, NaN] } },
        {
          type: f32(25),
          fill: { kind: "values", values: [0, Infinity, NaN, -1, 1e38, 1, -Infinity, 0, NaN, 1, 1e-38] },
        },
      ],
      params: { op },
    })),
    binaryCase("empty", "add", [0, 3], [3]),
    binaryCase("no columns", "add", [3, 0], [3, 1]),
    binaryCase("one element", "multiply", [1], [1]),
    binaryCase("one row", "add", [1, 13], [13]),
    binaryCase("one column", "add", [13, 1], [1]),
    binaryCase("several blocks", "multiply", [5, 1001], [5, 1001]),
    binaryCase("many narrow rows, per column", "add", [5000, 8], [8]),
    binaryCase("many narrow rows, per row", "divide", [5000, 3], [5000, 1]),
  ],
};

function binaryCase(about: string, op: BinaryOp, a: number[], b: number[]): Case<BinaryParams> {
  const divisor = { kind: "uniform", low: 0.5, high: 2 } as const;
  const normal = { kind: "normal" } as const;
  return {
    about,
    inputs: [{ type: f32(...a), fill: normal }, {
      type: f32(...b),
      fill: op === "divide" ? divisor : normal,
    }],
    params: { op },
  };
}
