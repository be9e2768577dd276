// Causal self-attention within sequences that lie end to end, head by head. Queries, keys and values come apart, or as
// column ranges of one array that is given three times, so that one product can make them; queries may be the last rows of
// their sequences alone. A second output is what each softmax is made again from: the gradient need not be given weights.
import {
  type ArrayType,
  bytesOf,
  type Case,
  f32,
  type GpuFacts,
  i32,
  type Kernel,
  match,
} from "../kernel.ts";
import { grid, MOST_TRIPS } from "../parts/grid.ts";
import { normalizerOf } from "../parts/normalizer.ts";
import { packedBytes } from "../parts/tiling.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import serial from "./gpu_serial.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };

/** How rows are laid out. A row sees those before it in its sequence, and itself. */
export interface AttentionParams {
  /** Heads of queries. */
  readonly heads: number;
  /** Heads of keys and values, which divide `heads`: as many query heads in a row share each. */
  readonly keyValueHeads: number;
  /** Queries of the longest sequence. */
  readonly longest: number;
  /** Keys and values that stand before each sequence's queries and that all of these see; else there are as many as queries. */
  readonly past: number;
  /** Queries and keys that see each other, over all sequences: what a head costs. */
  readonly pairs: number;
  /** True where all three inputs are one array whose rows hold queries, keys and values side by side. */
  readonly packed: boolean;
}

/** What a thread's private memory holds of a product's panel, and of one query's scores. */
const WIDEST_HEAD = 256;
const LONGEST = 65536;

/** Shapes that attention and its gradient share. */
export interface AttentionShape {
  readonly T: number;
  /** Columns of the result: heads times their width. */
  readonly D: number;
  readonly width: number;
  readonly sequences: number;
  /** Columns of each input, and where in its row keys and values begin. */
  readonly strides: readonly [q: number, k: number, v: number];
  readonly keyColumn: number;
  readonly valueColumn: number;
}

/** Checks rows and params. The shape rule of attention and of its gradient. */
export function attentionShape(
  kernel: string,
  inputs: readonly ArrayType[],
  params: AttentionParams,
): AttentionShape {
  const { T, A, B, C, O, U } = match(kernel, inputs, ["f32 TA", "f32 UB", "f32 UC", "i32 O"]);
  const { heads: H, keyValueHeads: G, longest, past, packed } = params;
  if (!Number.isInteger(H) || !Number.isInteger(G) || G < 1 || H < G || H % G !== 0) {
    throw new RangeError(
      `Cannot run ${kernel}: ${G} heads of keys and values do not divide ${H} heads of queries`,
    );
  }
  const width = A / (packed ? H + 2 * G : H);
  if (!Number.isInteger(width) || width < 1) {
    throw new RangeError(
      `Cannot run ${kernel}: ${A} columns do not split into ${H} heads of queries` +
        (packed ? ` and ${G} of keys and of values` : ""),
    );
  }
  const wanted = packed ? A : G * width;
  if (B !== wanted || C !== wanted) {
    throw new RangeError(
      `Cannot run ${kernel}: keys have ${B} columns and values ${C}, ${wanted} were expected`,
    );
  }
  if (width > WIDEST_HEAD) {
    throw new RangeError(`Cannot run ${kernel}: heads are ${width} wide, they may be at most ${WIDEST_HEAD}`);
  }
  if (O < 1 || !Number.isInteger(longest) || longest < 0 || longest > T || T > (O - 1) * longest) {
    throw new RangeError(
      `Cannot run ${kernel}: ${T} rows do not split into ${O - 1} sequences of up to ${longest}`,
    );
  }
  if (!Number.isInteger(past) || past < 0 || U !== T + (O - 1) * past) {
    throw new RangeError(
      `Cannot run ${kernel}: there are ${U} keys for ${T} queries in ${
        O - 1
      } sequences with ${past} keys before them`,
    );
  }
  if (longest + past > LONGEST) {
    throw new RangeError(
      `Cannot run ${kernel}: a sequence has ${longest + past} rows, it may have at most ${LONGEST}`,
    );
  }
  return {
    T,
    D: H * width,
    width,
    sequences: O - 1,
    strides: [A, B, C],
    keyColumn: packed ? H * width : 0,
    valueColumn: packed ? (H + G) * width : 0,
  };
}

/** Widest head of programs that keep rows in registers: the time they take to compile grows faster than it. */
const WIDEST_SERIAL = 32;
/** True where an invocation goes through `rows` by itself: on adapters that compute on the CPU, if its loops may be so long. */
export function isSerial(rows: number, width: number, { software }: GpuFacts): boolean {
  const trips = (rows + 8) * (1 + 2 * Math.ceil(width / 4));
  return software && width <= WIDEST_SERIAL && trips <= MOST_TRIPS;
}

/** Most queries taken together, and bytes of a sum for each. */
const MOST_QUERIES = 96;
const SUMS_BYTES = 4 * MOST_QUERIES;
/** Scores of queries taken together: few enough to stay near (512 KiB). */
const SCORES = 131072;

/** Most queries of a sequence that are taken together; the program cuts each sequence into equal blocks of 6 n queries. */
function mostQueries(length: number): number {
  return Math.max(6, Math.min(MOST_QUERIES, 6 * Math.floor(SCORES / length / 6)));
}

/** Scores in a row of scratch: those of all keys, to the end of a register. */
export function roomFor(length: number): number {
  return 8 * Math.ceil(length / 8);
}

/** Scores of a block of any sequence of up to `longest` rows. */
function mostScores(longest: number): number {
  const room = roomFor(longest);
  return Math.max(6 * room, Math.min(MOST_QUERIES * room, SCORES + 8 * MOST_QUERIES));
}

/** Scratch of causal.as.ts: a strip of queries, and keys or values. */
export function causalBytes(longest: number, width: number): number {
  return Math.max(packedBytes(6, longest, width), packedBytes(6, width, longest));
}

export const attention: Kernel<AttentionParams> = {
  name: "attention",
  about:
    "o = softmax(q k^T / sqrt(head width)) v over each row's past in its sequence; and [T,H,2]: weights = e^((q k^T - first) / sqrt(head width) - second).",
  outputs(inputs, params) {
    const { T, D } = attentionShape("attention", inputs, params);
    return [f32(T, D), f32(T, params.heads, 2)];
  },
  reference([q, k, v, offset], [o, normalizer], types, params) {
    const shape = attentionShape("attention", types, params);
    const { D, width, sequences, strides, keyColumn, valueColumn } = shape;
    const share = params.heads / params.keyValueHeads;
    for (let s = 0; s < sequences; s++) {
      // Key u of the sequence, from 0, is row first + u; query t sees those up to row last + t.
      const first = offset[s] + s * params.past;
      const last = first - offset[s] + params.past;
      for (let t = offset[s]; t < offset[s + 1]; t++) {
        for (let head = 0; head < params.heads; head++) {
          const column = Math.floor(head / share) * width;
          const score: number[] = [];
          for (let u = first; u <= last + t; u++) {
            let dot = 0;
            for (let c = 0; c < width; c++) {
              dot += q[t * strides[0] + head * width + c] * k[u * strides[1] + keyColumn + column + c];
            }
            score.push(dot);
          }
          const largest = score.reduce((most, each) => Math.max(most, each), -Infinity);
          const weigh = (each: number) => Math.exp((each - largest) / Math.sqrt(width));
          const sum = score.reduce((total, each) => total + weigh(each), 0);
          const pair = normalizerOf(largest, Math.log(sum), 1 / Math.sqrt(width));
          normalizer.set(pair, 2 * (t * params.heads + head));
          score.forEach((each, at) => {
            const row = (first + at) * strides[2] + valueColumn + column;
            for (let c = 0; c < width; c++) {
              o[t * D + head * width + c] += weigh(each) / sum * v[row + c];
            }
          });
        }
      }
    }
  },
  wasm: "attention",
  cpu(inputs, params) {
    const { width, sequences, strides, keyColumn, valueColumn } = attentionShape("attention", inputs, params);
    const { heads, keyValueHeads, longest, past } = params;
    const keys = longest + past;
    const most = mostQueries(keys);
    const blocks = Math.ceil(longest / most);
    const packed = causalBytes(keys, width);
    return {
      units: sequences * heads * blocks,
      grain: Math.max(
        1,
        Math.floor(65536 / Math.max(1, Math.min(most, longest) * keys * Math.max(8, width))),
      ),
      integers: [heads, keyValueHeads, width, ...strides, keyColumn, valueColumn, blocks, packed, past],
      floats: [1 / Math.sqrt(width)],
      scratchBytes: packed + SUMS_BYTES + 4 * mostScores(keys),
    };
  },
  wgsl: [math + program, math + serial],
  gpu(inputs, params, facts) {
    const { width, sequences, strides, keyColumn, valueColumn } = attentionShape("attention", inputs, params);
    const { heads, keyValueHeads, longest, past } = params;
    const alone = isSerial(longest + past, width, facts);
    const blocks = Math.ceil(longest / (alone ? 4 : 8));
    const slots = alone ? 1 : Math.ceil(width / 64);
    const units = sequences * heads * blocks * slots;
    return {
      passes: [{
        program: math + (alone ? serial : program),
        integers: [
          width,
          heads,
          heads / keyValueHeads,
          ...strides,
          keyColumn,
          valueColumn,
          blocks,
          slots,
          units,
          past,
        ],
        floats: [1 / Math.sqrt(width)],
        workgroups: grid(alone ? Math.ceil(units / 32) : units, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, D, width } = attentionShape("attention", inputs, params);
    const { heads, keyValueHeads, pairs } = params;
    const given = [f32(T, D), f32(inputs[1].shape[0], 2 * keyValueHeads * width)];
    return { flop: 4 * pairs * D, bytes: bytesOf(...given, inputs[3], f32(T, D), f32(T, heads, 2)) };
  },
  rounding(inputs, params) {
    // A score sums `width` products; for entries around 1 their sizes add to sqrt(width) after scaling. Its error is
    // the relative error of a weight (2 ulp of the exponential more), which a result sees above and below the line.
    const { width } = attentionShape("attention", inputs, params);
    return 2 * ((width + 2) * Math.sqrt(width) + 4) + params.longest + params.past;
  },
  gpuRounding(inputs, params) {
    // What is summed is scaled anew, an exponential and a product each time, for every 64 keys, or for every key that
    // outscores those before it: the logarithm of their number, in random order. Then a quotient.
    const longest = Math.max(1, params.longest + params.past);
    const scalings = Math.max(Math.ceil(longest / 64), 1 + Math.ceil(Math.log(longest)));
    return attention.rounding(inputs, params) + 4 * scalings + QUOTIENT;
  },
  cases: [
    attentionCase("two sequences, two heads", [7, 7], { heads: 2, width: 8 }),
    attentionCase("sequences of one row", [1, 1, 1, 1, 1], { heads: 3, width: 4 }),
    attentionCase("narrow heads that fill no vector", [10, 10, 10], { heads: 5, width: 3 }),
    attentionCase("one wide head", [9], { heads: 1, width: 256 }),
    attentionCase("odd length, odd width", [67, 67, 67], { heads: 2, width: 13 }),
    attentionCase("several blocks of queries", [300], { heads: 2, width: 32 }),
    attentionCase("several blocks of keys", [1030], { heads: 1, width: 8 }),
    attentionCase("many sequences", new Array<number>(8).fill(128), { heads: 2, width: 8 }),
    attentionCase("lengths that differ, one of them 0", [5, 0, 1, 131, 17], { heads: 2, width: 8 }),
    attentionCase("apart", [5, 12], { heads: 2, width: 8, packed: false }),
    attentionCase("grouped heads", [70, 9], { heads: 6, keyValueHeads: 2, width: 5 }),
    attentionCase("one head of keys, apart, a wide one", [20, 3], {
      heads: 3,
      keyValueHeads: 1,
      width: 72,
      packed: false,
    }),
    attentionCase("a row each behind others", [1, 1, 1], { heads: 2, width: 8, past: 70 }),
    attentionCase("rows behind others, lengths that differ, apart", [9, 0, 100], {
      heads: 6,
      keyValueHeads: 2,
      width: 5,
      past: 33,
      packed: false,
    }),
    attentionCase("one element", [1], { heads: 1, width: 1 }),
    attentionCase("no rows", [0], { heads: 2, width: 4 }),
    attentionCase("no sequences", [], { heads: 2, width: 4 }),
  ],
};

/** What a case of attention or of its gradient is made of. */
export interface AttentionCase extends Pick<AttentionParams, "heads"> {
  readonly width: number;
  readonly keyValueHeads?: number;
  readonly packed?: boolean;
  readonly past?: number;
}

/** The first four inputs of a case, and its params. Packed inputs are three arrays here, which only cost more. */
export function attentionInputs(
  lengths: readonly number[],
  { heads, width, keyValueHeads = heads, packed = true, past = 0 }: AttentionCase,
): Pick<Case<AttentionParams>, "inputs" | "params"> & { readonly T: number } {
  const offsets = lengths.reduce((ends, length) => [...ends, ends[ends.length - 1] + length], [0]);
  const T = offsets[lengths.length];
  const all = (heads + 2 * keyValueHeads) * width;
  const columns = packed ? [all, all, all] : [heads * width, keyValueHeads * width, keyValueHeads * width];
  return {
    T,
    inputs: [
      ...columns.map((count, at) => {
        const rows = at === 0 ? T : T + lengths.length * past;
        return { type: f32(rows, count), fill: { kind: "normal" } } as const;
      }),
      { type: i32(offsets.length), fill: { kind: "values", values: offsets } },
    ],
    params: {
      heads,
      keyValueHeads,
      longest: Math.max(0, ...lengths),
      past,
      pairs: lengths.reduce((sum, length) => sum + length * past + length * (length + 1) / 2, 0),
      packed,
    },
  };
}

function attentionCase(
  about: string,
  lengths: readonly number[],
  shape: AttentionCase,
): Case<AttentionParams> {
  const { inputs, params } = attentionInputs(lengths, shape);
  return { about, inputs, params };
}
