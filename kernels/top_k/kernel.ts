// The k highest entries of each row, highest first. Equal entries go to the lower index, on every backend; NaN counts
// as -infinity and comes out as that, so that one bad score cannot displace good ones.
import { type ArrayType, bytesOf, type Case, f32, type Fill, i32, type Kernel, match } from "../kernel.ts";
import { checkTrips, grid } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import wide from "./gpu_wide.wgsl" with { type: "text" };
import order from "../parts/order.wgsl" with { type: "text" };

/** Up to this many entries times choices, going through a row again for each choice is fastest on a GPU. */
const FEW = 2048;

/** How many entries of each row are wanted; none of a row without entries. */
export interface TopKParams {
  readonly k: number;
}

/** Trips of loops for 256 entries: 64 to compare them with each other, and the loop around for going on. */
const TRIPS_A_ROUND = 66;

function bind(inputs: readonly ArrayType[], { k }: TopKParams): { T: number; E: number } {
  const { T, E } = match("top_k", inputs, ["f32 TE"]);
  if (!Number.isInteger(k) || k < Math.min(1, E) || k > E) {
    throw new RangeError(
      `Cannot run top_k: k is ${k}, it must be a whole number from 1 to the ${E} entries of a row`,
    );
  }
  return { T, E };
}

export const topK: Kernel<TopKParams> = {
  name: "top_k",
  about: "The k highest entries of each row, highest first, and their indices; ties go to the lower index.",
  outputs(inputs, params) {
    const { T } = bind(inputs, params);
    return [f32(T, params.k), i32(T, params.k)];
  },
  reference([score], [value, index], types, params) {
    const { T, E } = bind(types, params);
    for (let t = 0; t < T; t++) {
      const row = Array.from({ length: E }, (_, e) => {
        const found = score[t * E + e];
        return { e, rank: Number.isNaN(found) ? -Infinity : found };
      });
      row.sort((a, b) => a.rank === b.rank ? a.e - b.e : a.rank > b.rank ? -1 : 1);
      for (let i = 0; i < params.k; i++) {
        value[t * params.k + i] = row[i].rank;
        index[t * params.k + i] = row[i].e;
      }
    }
  },
  wasm: "topK",
  cpu(inputs, params) {
    const { T, E } = bind(inputs, params);
    return {
      units: T,
      grain: Math.max(1, Math.floor(16384 / Math.max(1, E))),
      integers: [E, params.k],
      // A copy of the row; or, for more than 64 choices, its pairs of key and entry, twice, with counts of a byte's values.
      scratchBytes: params.k <= 64 ? 16 * Math.ceil(E / 4) : 16 * E + 1024,
    };
  },
  wgsl: [order + program, order + wide],
  gpu(inputs, params, facts) {
    const { T, E } = bind(inputs, params);
    const { k } = params;
    if (E * k <= FEW) {
      const workgroups = grid(Math.ceil(T / 64), facts);
      return { passes: [{ program: order + program, integers: [T, E, k], workgroups }] };
    }
    const blocks = Math.ceil(E / 256);
    checkTrips("top_k", `rows of ${E} entries`, TRIPS_A_ROUND * blocks + 1, facts);
    const workgroups = grid(T * blocks, facts);
    return { passes: [{ program: order + wide, integers: [T, E, k, blocks], workgroups }] };
  },
  cost(inputs, params) {
    const { T, E } = bind(inputs, params);
    return { flop: T * E * params.k, bytes: bytesOf(...inputs, f32(T, params.k), i32(T, params.k)) };
  },
  rounding() {
    return 0;
  },
  cases: [
    topKCase("top-1 of 8", 50, 8, 1),
    topKCase("top-2 of 64", 300, 64, 2),
    topKCase("top-8 of 256", 20, 256, 8),
    topKCase("rows that fill no vector", 40, 13, 3),
    topKCase("two entries", 9, 2, 1),
    topKCase("every entry", 9, 7, 7),
    topKCase("ties", 90, 19, 4, { kind: "values", values: [1, 0, 1, -0, 2, 2, 0, 1, 1, 2, -1] }),
    topKCase("all equal", 3, 21, 5, { kind: "values", values: [0.5] }),
    topKCase("NaN and infinities", 30, 11, 6, {
      kind: "values",
      values: [NaN, -Infinity, 1, NaN, -Infinity, Infinity, NaN, -3, -Infinity, NaN, NaN, NaN, NaN],
    }),
    topKCase("nothing above -infinity", 3, 9, 4, { kind: "values", values: [-Infinity, NaN, -Infinity] }),
    topKCase("many choices", 4, 500, 130),
    topKCase("many choices, ties", 5, 301, 200, { kind: "integers", low: -9, below: 9 }),
    topKCase("many choices, NaN and infinities", 5, 70, 60, {
      kind: "values",
      values: [NaN, -Infinity, 1, 0, -0, Infinity, -1e-40, 1e-40, -3, -Infinity, NaN, 2, -2],
    }),
    topKCase("one element", 1, 1, 1),
    topKCase("no rows", 0, 4, 2),
  ],
};

function topKCase(
  about: string,
  T: number,
  E: number,
  k: number,
  fill: Fill = { kind: "normal" },
): Case<TopKParams> {
  return { about, inputs: [{ type: f32(T, E), fill }], params: { k } };
}
