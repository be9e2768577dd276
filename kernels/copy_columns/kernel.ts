// A block of columns moved to another place: slices, their gradients and joined arrays are one program with other numbers.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match, shapeText } from "../kernel.ts";
import { grainFor } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Which columns go where. */
export interface CopyColumnsParams {
  /** Column of x that becomes column 0; negative where x begins further right. */
  readonly from: number;
  /** Columns of the result. */
  readonly columns: number;
}

interface Bound {
  readonly y: ArrayType;
  readonly rows: number;
  readonly C: number;
  readonly based: boolean;
}

function bind(inputs: readonly ArrayType[], { from, columns }: CopyColumnsParams): Bound {
  const [x, base] = inputs;
  if (inputs.length !== 1 && inputs.length !== 2) {
    throw new TypeError(`Cannot run copy_columns: it takes 1 or 2 inputs, not ${inputs.length}`);
  }
  const { rows, C } = match("copy_columns", [x], ["any *C"]);
  if (!Number.isInteger(from)) {
    throw new RangeError(`Cannot run copy_columns: from is ${from}, it must be a whole number`);
  }
  if (!Number.isInteger(columns) || columns < 0) {
    throw new RangeError(`Cannot run copy_columns: columns is ${columns}, it must be a whole number from 0`);
  }
  const y: ArrayType = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), columns] };
  if (base && (base.dtype !== y.dtype || shapeText(base.shape) !== shapeText(y.shape))) {
    throw new RangeError(
      `Cannot run copy_columns: input 1 must be ${y.dtype} ${shapeText(y.shape)}, not ${base.dtype} ${
        shapeText(base.shape)
      }`,
    );
  }
  return { y, rows, C, based: base !== undefined };
}

export const copyColumns: Kernel<CopyColumnsParams> = {
  name: "copy_columns",
  about:
    "y[..., c] = x[..., from + c] where x has that column; base[..., c], or 0 without a base, elsewhere.",
  outputs(inputs, params) {
    return [bind(inputs, params).y];
  },
  reference([x, base], [y], types, params) {
    const { C } = bind(types, params);
    const { from, columns } = params;
    for (let i = 0; i < y.length; i++) {
      const column = from + i % columns;
      const inside = column >= 0 && column < C;
      y[i] = inside ? x[Math.floor(i / columns) * C + column] : base ? base[i] : 0;
    }
  },
  wasm: "copyColumns",
  cpu(inputs, params) {
    const { rows, C, based } = bind(inputs, params);
    const { from, columns } = params;
    // Columns of y that x fills, and the first of x among them.
    const left = Math.min(columns, Math.max(0, -from));
    const count = Math.max(0, Math.min(columns, C - from) - left);
    const first = count > 0 ? left + from : 0;
    const integers = [C, columns, left, count, first];
    return {
      units: rows,
      grain: grainFor(columns * 0.2 + 10),
      integers: based ? [1, ...integers] : [0, 0, ...integers],
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { rows, C, based } = bind(inputs, params);
    const { from, columns } = params;
    const size = rows * columns;
    const entry = based ? "overBase" : "overZeros";
    return {
      passes: [{ program, entry, integers: [size, columns, C, from], workgroups: forEach(size, facts) }],
    };
  },
  cost(inputs, params) {
    return { flop: 0, bytes: 2 * bytesOf(bind(inputs, params).y) };
  },
  rounding: () => 0,
  cases: [
    copyCase("placed on a base", f32(9, 3), { from: -2, columns: 8 }, true),
    copyCase("a slice", f32(9, 7), { from: 2, columns: 3 }),
    copyCase("a slice at the end", f32(9, 7), { from: 4, columns: 3 }),
    copyCase("whole numbers", i32(2, 5, 9), { from: 1, columns: 6 }),
    copyCase("placed among zeros", f32(9, 3), { from: -2, columns: 8 }),
    copyCase("whole numbers placed on a base", i32(9, 3), { from: -5, columns: 8 }, true),
    copyCase("wider than both ends", f32(5, 9), { from: -4, columns: 20 }, true),
    copyCase("before the first column", f32(4, 3), { from: -6, columns: 5 }, true),
    copyCase("past the last column", f32(4, 3), { from: 3, columns: 2 }),
    copyCase("all columns", f32(4, 6), { from: 0, columns: 6 }),
    copyCase("one column of many rows", f32(5000, 8), { from: 5, columns: 1 }),
    copyCase("wide rows", f32(3, 1300), { from: 17, columns: 1101 }),
    copyCase("a vector", f32(11), { from: 3, columns: 4 }),
    copyCase("one element", f32(1, 1), { from: 0, columns: 1 }),
    copyCase("no columns", f32(4, 3), { from: 1, columns: 0 }),
    copyCase("of no columns", f32(4, 0), { from: -1, columns: 2 }),
    copyCase("no rows", f32(0, 3), { from: 1, columns: 2 }),
  ],
};

function copyCase(
  about: string,
  type: ArrayType,
  params: CopyColumnsParams,
  based = false,
): Case<CopyColumnsParams> {
  const fill = type.dtype === "f32"
    ? { kind: "normal" } as const
    : { kind: "integers", low: -99, below: 99 } as const;
  const base = { dtype: type.dtype, shape: [...type.shape.slice(0, -1), params.columns] };
  return { about, inputs: based ? [{ type, fill }, { type: base, fill }] : [{ type, fill }], params };
}
