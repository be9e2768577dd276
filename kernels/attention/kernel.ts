// Causal self-attention of queries, keys and values that lie side by side, sequence by sequence and head by head. The
// logarithm of each softmax's sum is a second output, so that the gradient can make the weights again.
import { type ArrayType, bytesOf, type Case, f32, type GpuFacts, type Kernel, match } from "../kernel.ts";
import { grid, MOST_TRIPS } from "../grid.ts";
import { packedBytes } from "../tiling.ts";
import { QUOTIENT } from "../accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import serial from "./gpu_serial.wgsl" with { type: "text" };
import math from "../math.wgsl" with { type: "text" };

/** How rows are laid out. */
export interface AttentionParams {
  /** Rows in a sequence; a row sees those before it in its sequence, and itself. */
  readonly length: number;
  readonly heads: number;
}

/** What a thread's private memory holds of a product's panel, and of one query's scores. */
const WIDEST_HEAD = 256;
const LONGEST = 65536;

/** Shapes that attention and its gradient share. */
export interface AttentionShape {
  readonly T: number;
  readonly D: number;
  readonly width: number;
  readonly sequences: number;
}

/** Checks rows and params. The shape rule of attention and of its gradient. */
export function attentionShape(kernel: string, qkv: ArrayType, params: AttentionParams): AttentionShape {
  const { T, C } = match(kernel, [qkv], ["f32 TC"]);
  const { length, heads } = params;
  if (C % 3 !== 0) {
    throw new RangeError(`Cannot run ${kernel}: ${C} columns do not split into queries, keys and values`);
  }
  const D = C / 3;
  if (!Number.isInteger(heads) || heads < 1 || D < 1 || D % heads !== 0) {
    throw new RangeError(`Cannot run ${kernel}: width ${D} does not split into ${heads} heads`);
  }
  if (D / heads > WIDEST_HEAD) {
    throw new RangeError(
      `Cannot run ${kernel}: heads are ${D / heads} wide, they may be at most ${WIDEST_HEAD}`,
    );
  }
  if (!Number.isInteger(length) || length < 1 || length > LONGEST || T % length !== 0) {
    throw new RangeError(
      `Cannot run ${kernel}: ${T} rows do not split into sequences of ${length}, from 1 to ${LONGEST}`,
    );
  }
  return { T, D, width: D / heads, sequences: T / length };
}

/** Widest head of programs that keep rows in registers: the time they take to compile grows faster than it. */
const WIDEST_SERIAL = 32;
/** True where an invocation goes through rows by itself: on adapters that compute on the CPU, if its loops may be so long. */
export function isSerial(length: number, width: number, { software }: GpuFacts): boolean {
  const trips = (length + 8) * (1 + 2 * Math.ceil(width / 4));
  return software && width <= WIDEST_SERIAL && trips <= MOST_TRIPS;
}

/** Most queries taken together, and bytes of a sum for each. */
const MOST_QUERIES = 96;
const SUMS_BYTES = 4 * MOST_QUERIES;

/** Queries taken together: enough to make packing keys cheap, few enough that their scores stay near (512 KiB). */
function blockOf(length: number): number {
  const most = Math.max(6, Math.min(MOST_QUERIES, 6 * Math.floor(131072 / length / 6)));
  const blocks = Math.ceil(length / most);
  return 6 * Math.ceil(length / blocks / 6);
}

/** Scores in a row of scratch: those of all keys, to the end of a register. */
export function roomFor(length: number): number {
  return 8 * Math.ceil(length / 8);
}

/** Scratch of causal.as.ts: a strip of queries, and keys or values. */
export function causalBytes(length: number, width: number): number {
  return Math.max(packedBytes(6, length, width), packedBytes(6, width, length));
}

export const attention: Kernel<AttentionParams> = {
  name: "attention",
  about:
    "o = softmax(q k^T / sqrt(head width)) v over each row's past in its sequence, and the softmax's logsumexp.",
  outputs(inputs, params) {
    match("attention", inputs, ["f32 TC"]);
    const { T, D } = attentionShape("attention", inputs[0], params);
    return [f32(T, D), f32(T, params.heads)];
  },
  reference([qkv], [o, logsumexp], types, params) {
    const { T, D, width } = attentionShape("attention", types[0], params);
    for (let t = 0; t < T; t++) {
      const start = t - t % params.length;
      for (let head = 0; head < params.heads; head++) {
        const column = head * width;
        const score: number[] = [];
        for (let s = start; s <= t; s++) {
          let dot = 0;
          for (let c = column; c < column + width; c++) dot += qkv[t * 3 * D + c] * qkv[s * 3 * D + D + c];
          score.push(dot / Math.sqrt(width));
        }
        const largest = Math.max(...score);
        const sum = score.reduce((total, each) => total + Math.exp(each - largest), 0);
        logsumexp[t * params.heads + head] = largest + Math.log(sum);
        for (let c = column; c < column + width; c++) {
          score.forEach((each, at) => {
            o[t * D + c] += Math.exp(each - largest) / sum * qkv[(start + at) * 3 * D + 2 * D + c];
          });
        }
      }
    }
  },
  wasm: "attention",
  cpu(inputs, params) {
    const { D, width, sequences } = attentionShape("attention", inputs[0], params);
    const block = blockOf(params.length);
    const packed = causalBytes(params.length, width);
    return {
      units: sequences * params.heads * Math.ceil(params.length / block),
      grain: Math.max(1, Math.floor(65536 / (block * params.length * Math.max(8, width)))),
      integers: [D, params.length, params.heads, block, packed],
      floats: [1 / Math.sqrt(width)],
      scratchBytes: packed + SUMS_BYTES + 4 * block * roomFor(params.length),
    };
  },
  wgsl: [math + program, math + serial],
  gpu(inputs, params, facts) {
    const { D, width, sequences } = attentionShape("attention", inputs[0], params);
    const { length, heads } = params;
    if (isSerial(length, width, facts)) {
      const blocks = Math.ceil(length / 4);
      const units = sequences * heads * blocks;
      return {
        passes: [{
          program: math + serial,
          integers: [D, width, heads, length, blocks, units],
          floats: [1 / Math.sqrt(width)],
          workgroups: grid(Math.ceil(units / 32), facts),
        }],
      };
    }
    const blocks = Math.ceil(length / 8);
    const slots = Math.ceil(width / 64);
    const units = sequences * heads * blocks * slots;
    return {
      passes: [{
        program: math + program,
        integers: [D, width, heads, length, blocks, slots, units],
        floats: [1 / Math.sqrt(width)],
        workgroups: grid(units, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, D } = attentionShape("attention", inputs[0], params);
    const pairs = T * (params.length + 1) / 2;
    return { flop: 4 * pairs * D, bytes: bytesOf(inputs[0], f32(T, D), f32(T, params.heads)) };
  },
  rounding(inputs, params) {
    // A score sums `width` products; for entries around 1 their sizes add to sqrt(width) after scaling. Its error is
    // the relative error of a weight (2 ulp of the exponential more), which a result sees above and below the line.
    const { width } = attentionShape("attention", inputs[0], params);
    return 2 * ((width + 2) * Math.sqrt(width) + 4) + params.length;
  },
  gpuRounding(inputs, params) {
    // What is summed is scaled anew, an exponential and a product each time, for every 64 keys, or for every key that
    // outscores those before it: the logarithm of their number, in random order. Then a quotient.
    const { length } = params;
    const scalings = Math.max(Math.ceil(length / 64), 1 + Math.ceil(Math.log(length)));
    return attention.rounding(inputs, params) + 4 * scalings + QUOTIENT;
  },
  cases: [
    attentionCase("two sequences, two heads", 14, 16, { length: 7, heads: 2 }),
    attentionCase("sequences of one row", 5, 12, { length: 1, heads: 3 }),
    attentionCase("narrow heads that fill no vector", 30, 15, { length: 10, heads: 5 }),
    attentionCase("one wide head", 9, 256, { length: 9, heads: 1 }),
    attentionCase("odd length, odd width", 3 * 67, 26, { length: 67, heads: 2 }),
    attentionCase("several blocks of queries", 300, 64, { length: 300, heads: 2 }),
    attentionCase("several blocks of keys", 1030, 8, { length: 1030, heads: 1 }),
    attentionCase("many sequences", 1024, 16, { length: 128, heads: 2 }),
    attentionCase("one element", 1, 1, { length: 1, heads: 1 }),
    attentionCase("no rows", 0, 8, { length: 4, heads: 2 }),
  ],
};

function attentionCase(about: string, T: number, D: number, params: AttentionParams): Case<AttentionParams> {
  return { about, inputs: [{ type: f32(T, 3 * D), fill: { kind: "normal" } }], params };
}
