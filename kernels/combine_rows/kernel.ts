// Weighted sums of rows by group: what experts computed, back to tokens. Each group sums its own rows through the order
// and offsets that group_by gave (or in order, where every group has as many), so the result is the same on every run.
import {
  type ArrayType,
  bytesOf,
  type Case,
  type CaseInput,
  f32,
  i32,
  type Kernel,
  match,
} from "../kernel.ts";
import { checkTrips, forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Which inputs there are besides rows [M, D] and index [N], in this order. */
export interface CombineRowsParams {
  /** A weight for each of N assignments, f32 [N]; otherwise all weigh 1. */
  readonly weighted?: boolean;
  /** Assignments of a group: this many in a row; otherwise those of an order [N] between offsets [G + 1]. */
  readonly each?: number;
  /** What is added to, f32 [G, D]; otherwise nothing. */
  readonly based?: boolean;
}

interface Bound {
  readonly M: number;
  readonly D: number;
  readonly N: number;
  readonly G: number;
}

function bind(inputs: readonly ArrayType[], { weighted, each, based }: CombineRowsParams): Bound {
  const { M, D, N, O, G } = match("combine_rows", inputs, [
    "f32 MD",
    "i32 N",
    ...(weighted ? ["f32 N"] : []),
    ...(each === undefined ? ["i32 N", "i32 O"] : []),
    ...(based ? ["f32 GD"] : []),
  ]);
  if (each === undefined) {
    if (O < 1) throw new RangeError("Cannot run combine_rows: G groups need G + 1 offsets, not 0");
  } else if (!Number.isInteger(each) || each < 1 || N % each !== 0) {
    throw new RangeError(
      `Cannot run combine_rows: each is ${each}, it must be a whole number from 1 that divides ${N} assignments`,
    );
  }
  const groups = each === undefined ? O - 1 : N / each;
  if (based && G !== groups) {
    throw new RangeError(`Cannot run combine_rows: the base has ${G} rows for ${groups} groups`);
  }
  return { M, D, N, G: groups };
}

/** Places of the inputs; those left out stand where an array of their kind does. */
function places({ weighted, each, based }: CombineRowsParams) {
  let next = 2;
  const place = (given: boolean, otherwise: number) => given ? next++ : otherwise;
  return {
    weight: place(!!weighted, 0),
    order: place(each === undefined, 1),
    offset: place(each === undefined, 1),
    base: place(!!based, 0),
  };
}

export const combineRows: Kernel<CombineRowsParams> = {
  name: "combine_rows",
  about:
    "y[g] = sum of weight[n] rows[index[n]] over n = order[offset[g]] to order[offset[g+1]-1]; index -1 adds nothing.",
  outputs(inputs, params) {
    const { G, D } = bind(inputs, params);
    return [f32(G, D)];
  },
  reference(inputs, [y], types, params) {
    const { G, D, M } = bind(types, params);
    const { weighted, each, based } = params;
    const [rows, index] = inputs;
    const { weight, order, offset, base } = places(params);
    for (let g = 0; g < G; g++) {
      for (let d = 0; d < D && based; d++) y[g * D + d] = inputs[base][g * D + d];
      const [start, end] = each === undefined
        ? [inputs[offset][g], inputs[offset][g + 1]]
        : [g * each, (g + 1) * each];
      for (let at = start; at < end; at++) {
        const n = each === undefined ? inputs[order][at] : at;
        if (index[n] < 0 || index[n] >= M) continue;
        const factor = weighted ? inputs[weight][n] : 1;
        for (let d = 0; d < D; d++) y[g * D + d] += factor * rows[index[n] * D + d];
      }
    }
  },
  wasm: "combineRows",
  cpu(inputs, params) {
    const { G, D, M } = bind(inputs, params);
    return {
      units: G,
      grain: Math.max(1, Math.floor(16384 / Math.max(16, D))),
      integers: [
        // The program finds its whole numbers behind room for seven addresses.
        ...new Array<number>(6 - inputs.length).fill(0),
        ...[M, D, params.each ?? 0, Number(params.weighted ?? false), Number(params.based ?? false)],
      ],
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { G, D, M, N } = bind(inputs, params);
    const { weight, order, offset, base } = places(params);
    const most = params.each ?? N;
    checkTrips("combine_rows", `groups of up to ${most} rows`, Math.floor(most / 4) + 5, facts);
    const four = D % 4 === 0;
    const width = four ? D / 4 : D;
    return {
      passes: [{
        program,
        entry: four ? "quads" : "singles",
        reads: [0, 1, weight, order, offset, base],
        constants: {
          WEIGHTED: Number(params.weighted ?? false),
          BASED: Number(params.based ?? false),
          IN_ORDER: Number(params.each !== undefined),
        },
        integers: [G * width, width, M, params.each ?? 0],
        workgroups: forEach(G * width, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { N, D, G } = bind(inputs, params);
    return { flop: 2 * N * D, bytes: 4 * N * D + bytesOf(...inputs.slice(1), f32(G, D)) };
  },
  rounding(inputs, params) {
    return bind(inputs, params).N + 2;
  },
  cases: [
    combineCase("two rows a group", 20, 19, spread(12, 2), 20),
    combineCase("whole vectors", 20, 64, spread(12, 2), 20),
    combineCase("ragged groups, one empty", 9, 37, [0, 3, 3, 4, 11], 9),
    combineCase("one row a group", 30, 5, spread(30, 1), 30),
    combineCase("entries that no group has", 9, 8, [0, 2, 5], 9, { weighted: true }, 20),
    combineCase("every index out of range", 4, 6, spread(3, 2), 0),
    combineCase("no groups", 4, 6, [0], 4),
    combineCase("no entries", 4, 6, [0, 0, 0], 4),
    combineCase("no columns", 4, 0, spread(3, 2), 4),
    combineCase("one element", 1, 1, [0, 1], 1),
    combineCase("many groups", 700, 33, spread(600, 3), 700),
    combineCase("on a base", 20, 19, spread(12, 2), 20, { weighted: true, based: true }),
    combineCase("weights of 1", 9, 37, [0, 3, 3, 4, 11], 9, {}),
    combineCase("in order", 20, 19, spread(12, 2), 20, { weighted: true, each: 2 }),
    combineCase("in order, weights of 1, whole vectors", 20, 64, spread(12, 5), 20, { each: 5 }),
    combineCase("in order, on a base", 20, 68, spread(12, 1), 20, { weighted: true, each: 1, based: true }),
    combineCase("in order, no entries", 4, 6, [0], 4, { each: 3 }),
  ],
};

function spread(groups: number, each: number): number[] {
  return Array.from({ length: groups + 1 }, (_, g) => g * each);
}

/** Indices run from -1 to `below` - 1; the order is a fixed shuffle. */
function combineCase(
  about: string,
  M: number,
  D: number,
  offset: number[],
  below: number,
  params: CombineRowsParams = { weighted: true },
  N = offset[offset.length - 1],
): Case<CombineRowsParams> {
  const { weighted, each, based } = params;
  const normal = (type: ArrayType): CaseInput => ({ type, fill: { kind: "normal" } });
  const list = (values: number[]): CaseInput => ({
    type: i32(values.length),
    fill: { kind: "values", values },
  });
  const order = Array.from({ length: N }, (_, n) => n).sort((a, b) => (a * 7919) % 1009 - (b * 7919) % 1009);
  return {
    about,
    inputs: [
      normal(f32(M, D)),
      { type: i32(N), fill: { kind: "integers", low: -1, below } },
      ...(weighted ? [normal(f32(N))] : []),
      ...(each === undefined ? [list(order), list(offset)] : []),
      ...(based ? [normal(f32(offset.length - 1, D))] : []),
    ],
    params,
  };
}
