// Rotary position embedding (Su et al. 2021, arXiv:2104.09864, equation 34) of heads that lie side by side. Entry i of a
// head is paired with entry i + half, as in published checkpoints, not with its neighbour. The first heads of a row are
// turned and the others copied, so that queries, keys and values may lie in one row.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Cosine and sine of each position's angle for each pair, [positions, half, 2], in f64 because angles reach thousands. */
function turns(positions: number, half: number, base: number): Float32Array {
  const values = new Float32Array(2 * positions * half);
  for (let i = 0; i < half; i++) {
    const frequency = base ** (-i / half);
    for (let position = 0; position < positions; position++) {
      const at = 2 * (position * half + i);
      values[at] = Math.cos(position * frequency);
      values[at + 1] = Math.sin(position * frequency);
    }
  }
  return values;
}

/** Positions in the table for sequences of up to `longest` rows: few tables serve batches of any lengths. */
function positionsFor(longest: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, longest)));
}

/** How rows are laid out and how fast they turn. */
export interface RopeParams {
  /** Rows of the longest sequence. */
  readonly longest: number;
  /** Position of each sequence's first row. */
  readonly from: number;
  /** Heads in a row. */
  readonly heads: number;
  /** How many of them, from the first on, are turned; the others are copied. */
  readonly turned: number;
  /** Columns of a head that are turned, an even number; those behind them are copied. */
  readonly rotaryWidth: number;
  /** Pair i of a head turns by base^(-2i / rotary width) a position. */
  readonly base: number;
  /** True turns back: the gradient of turning forth. */
  readonly inverse: boolean;
}

interface Bound {
  readonly T: number;
  /** Columns of a row. */
  readonly C: number;
  readonly sequences: number;
  /** Columns of a head. */
  readonly width: number;
  readonly half: number;
  /** Pairs that a row turns, and columns that it copies. */
  readonly pairs: number;
  readonly copied: number;
}

function bind(inputs: readonly ArrayType[], params: RopeParams): Bound {
  const { T, C, O } = match("rope", inputs, ["f32 TC", "i32 O"]);
  const { longest, from, heads, turned, rotaryWidth, base } = params;
  if (!Number.isInteger(heads) || heads < 1 || C < 1 || C % heads !== 0) {
    throw new RangeError(`Cannot run rope: ${C} columns do not split into ${heads} heads`);
  }
  const width = C / heads;
  if (!Number.isInteger(turned) || turned < 1 || turned > heads) {
    throw new RangeError(`Cannot run rope: ${turned} heads are to be turned, choose 1 to ${heads}`);
  }
  if (!Number.isInteger(rotaryWidth) || rotaryWidth < 2 || rotaryWidth % 2 !== 0 || rotaryWidth > width) {
    throw new RangeError(
      `Cannot run rope: rotary width is ${rotaryWidth}, it must be an even number from 2 to the heads' width ${width}`,
    );
  }
  if (O < 1 || !Number.isInteger(longest) || longest < 0 || longest > T || T > (O - 1) * longest) {
    throw new RangeError(
      `Cannot run rope: ${T} rows do not split into ${O - 1} sequences of up to ${longest}`,
    );
  }
  if (!Number.isInteger(from) || from < 0) {
    throw new RangeError(`Cannot run rope: positions begin at ${from}, choose a whole number from 0`);
  }
  if (!(base > 1 && base < 2 ** 100)) {
    throw new RangeError(`Cannot run rope: base is ${base}, it must be a number above 1`);
  }
  const half = rotaryWidth / 2;
  return { T, C, sequences: O - 1, width, half, pairs: turned * half, copied: C - turned * rotaryWidth };
}

export const rope: Kernel<RopeParams> = {
  name: "rope",
  about:
    "Turns each pair of the first heads of a row by its place in its sequence times its frequency; the rest is copied.",
  outputs(inputs, params) {
    bind(inputs, params);
    return [inputs[0]];
  },
  reference([x, offset], [y], types, params) {
    const { C, sequences, width, half } = bind(types, params);
    const base = Math.fround(params.base);
    y.set(x);
    for (let s = 0; s < sequences; s++) {
      for (let t = offset[s]; t < offset[s + 1]; t++) {
        for (let head = 0; head < params.turned; head++) {
          for (let i = 0; i < half; i++) {
            const angle = (params.from + t - offset[s]) * base ** (-i / half) * (params.inverse ? -1 : 1);
            const at = t * C + head * width + i;
            y[at] = x[at] * Math.cos(angle) - x[at + half] * Math.sin(angle);
            y[at + half] = x[at + half] * Math.cos(angle) + x[at] * Math.sin(angle);
          }
        }
      }
    }
  },
  wasm: "rope",
  cpu(inputs, params) {
    const { C, sequences, width, half } = bind(inputs, params);
    const each = sequences * C + 16 * half;
    return {
      units: params.longest,
      grain: Math.max(1, Math.floor(16384 / each)),
      integers: [C, sequences, width, params.turned, half, Number(params.inverse), params.from],
      floats: [params.base],
      // A frequency (f64), a cosine and a sine for each pair of a head.
      scratchBytes: 16 * half,
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { T, C, sequences, width, half, pairs, copied } = bind(inputs, params);
    const base = Math.fround(params.base);
    const positions = positionsFor(params.from + params.longest);
    const items = Math.max(pairs, copied);
    return {
      tables: [{ key: `${positions} ${half} ${base}`, values: () => turns(positions, half, base) }],
      passes: [{
        program,
        reads: [0, 1, 3],
        constants: { INVERSE: Number(params.inverse) },
        integers: [
          ...[T * items, items, C, width, params.turned, half, pairs, copied],
          ...[sequences, params.longest, params.from],
        ],
        workgroups: forEach(T * items, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, pairs } = bind(inputs, params);
    return { flop: 6 * T * pairs, bytes: 2 * bytesOf(inputs[0]) };
  },
  rounding() {
    // Cosine, product and sum round once each, for two terms whose sizes add to at most sqrt(2) of the pair's length,
    // which is at most sqrt(2) of the largest result.
    return 6;
  },
  cases: [
    ropeCase("two sequences, two heads", [7, 7], 8, { heads: 6, turned: 4 }),
    ropeCase("back", [7, 7], 8, { heads: 6, turned: 4, inverse: true }),
    ropeCase("pairs that fill no vector", [3, 3, 3], 10, { heads: 9, turned: 6 }),
    ropeCase("sequences of one row", [1, 1, 1, 1, 1], 8, { heads: 3, turned: 2 }),
    ropeCase("one pair", [3], 2, { heads: 3, turned: 2, base: 500000 }),
    ropeCase("far positions", [65536], 4, { heads: 3, turned: 2 }),
    ropeCase("several sequences", [100, 100, 100], 12, { heads: 6, turned: 4, inverse: true }),
    ropeCase("lengths that differ, one of them 0", [5, 0, 1, 90, 17], 6, { heads: 3, turned: 2 }),
    ropeCase("all heads are turned", [4, 9], 12, { heads: 5, turned: 5 }),
    ropeCase("a part of each head", [4, 9], 10, { heads: 4, turned: 3, rotaryWidth: 4 }),
    ropeCase("from a position on", [2, 0, 5], 8, { heads: 3, turned: 2, from: 300 }),
    ropeCase("no rows", [0], 8, { heads: 3, turned: 2 }),
    ropeCase("no sequences", [], 8, { heads: 3, turned: 2 }),
  ],
};

function ropeCase(
  about: string,
  lengths: readonly number[],
  width: number,
  params: Pick<RopeParams, "heads" | "turned"> & Partial<RopeParams>,
): Case<RopeParams> {
  const offsets = lengths.reduce((ends, length) => [...ends, ends[ends.length - 1] + length], [0]);
  return {
    about,
    inputs: [
      { type: f32(offsets[lengths.length], params.heads * width), fill: { kind: "normal" } },
      { type: i32(offsets.length), fill: { kind: "values", values: offsets } },
    ],
    params: {
      longest: Math.max(0, ...lengths),
      rotaryWidth: width,
      from: 0,
      base: 10000,
      inverse: false,
      ...params,
    },
  };
}
