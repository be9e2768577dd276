// Gradient of attention for queries, keys and values. Weights are made again from the scores and their logsumexp
// (Dao et al. 2022, arXiv:2205.14135, algorithm 4), so the forward pass need not keep them.
import {
  type AttentionParams,
  type AttentionShape,
  attentionShape,
  causalBytes,
  isSerial,
  roomFor,
} from "../attention/kernel.ts";
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { forEach, grid } from "../grid.ts";
import { packedBytes } from "../tiling.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../math.wgsl" with { type: "text" };
import means from "./gpu_mean.wgsl" with { type: "text" };
import serial from "./gpu_serial.wgsl" with { type: "text" };

/** The same as attention's. */
export type AttentionGradientParams = AttentionParams;

function bind(inputs: readonly ArrayType[], params: AttentionGradientParams): AttentionShape {
  const { D, C, H } = match("attention_gradient", inputs, ["f32 TC", "f32 TD", "f32 TH", "f32 TD"]);
  const shape = attentionShape("attention_gradient", inputs[0], params);
  if (C !== 3 * D) {
    throw new RangeError(`Cannot run attention_gradient: input 0 has ${C} columns, 3 x ${D} were expected`);
  }
  if (H !== params.heads) {
    throw new RangeError(`Cannot run attention_gradient: input 2 has ${H} columns for ${params.heads} heads`);
  }
  return shape;
}

/** Queries taken together: their weights and the gradients of those share 3 MiB. */
function blockOf(length: number): number {
  return Math.max(1, Math.min(48, Math.floor(390000 / (length + 7))));
}

export const attentionGradient: Kernel<AttentionGradientParams> = {
  name: "attention_gradient",
  about: "Gradient of attention: (qkv, o, logsumexp, gradient of o) to the gradient of qkv.",
  outputs(inputs, params) {
    bind(inputs, params);
    return [inputs[0]];
  },
  reference([qkv, o, logsumexp, g], [dqkv], types, params) {
    const { T, D, width } = bind(types, params);
    const scale = 1 / Math.sqrt(width);
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < params.heads; head++) {
        const column = head * width;
        let mean = 0;
        for (let c = column; c < column + width; c++) mean += g[t * D + c] * o[t * D + c];
        for (let s = t - t % params.length; s <= t; s++) {
          let score = 0;
          let through = 0;
          for (let c = column; c < column + width; c++) {
            score += qkv[t * 3 * D + c] * qkv[s * 3 * D + D + c];
            through += g[t * D + c] * qkv[s * 3 * D + 2 * D + c];
          }
          const weight = Math.exp(score * scale - logsumexp[t * params.heads + head]);
          const back = weight * (through - mean) * scale;
          for (let c = column; c < column + width; c++) {
            dqkv[t * 3 * D + c] += back * qkv[s * 3 * D + D + c];
            dqkv[s * 3 * D + D + c] += back * qkv[t * 3 * D + c];
            dqkv[s * 3 * D + 2 * D + c] += weight * g[t * D + c];
          }
        }
      }
    }
  },
  wasm: "attentionGradient",
  cpu(inputs, params) {
    const { D, width, sequences } = bind(inputs, params);
    const block = blockOf(params.length);
    const packed = Math.max(causalBytes(params.length, width), packedBytes(params.length, width, block));
    return {
      units: sequences * params.heads,
      grain: Math.max(1, Math.floor(65536 / (params.length * params.length * Math.max(8, width)))),
      integers: [D, params.length, params.heads, block, packed],
      floats: [1 / Math.sqrt(width)],
      scratchBytes: packed + 8 * block * roomFor(params.length),
    };
  },
  wgsl: [means, math + program, math + serial],
  gpu(inputs, params, facts) {
    const { T, D, width, sequences } = bind(inputs, params);
    const { length, heads } = params;
    const alone = isSerial(length, width, facts);
    const blocks = Math.ceil(length / (alone ? 4 : 8));
    const slots = Math.ceil(width / 64);
    const units = sequences * heads * blocks * slots;
    const common = {
      program: math + (alone ? serial : program),
      reads: [0, 2, 3, 5],
      integers: [D, width, heads, length, blocks, ...(alone ? [] : [slots]), units],
      floats: [1 / Math.sqrt(width)],
      workgroups: grid(alone ? Math.ceil(units / 32) : units, facts),
    };
    return {
      scratch: [f32(T, heads)],
      passes: [
        {
          program: means,
          reads: [1, 3],
          writes: [5],
          integers: [T * heads, width],
          workgroups: forEach(T * heads, facts),
        },
        { ...common, entry: "queries" },
        { ...common, entry: "keysAndValues" },
      ],
    };
  },
  cost(inputs, params) {
    const { T, D } = bind(inputs, params);
    const pairs = T * (params.length + 1) / 2;
    return { flop: 10 * pairs * D, bytes: bytesOf(...inputs, inputs[0]) };
  },
  rounding(inputs, params) {
    // For entries around 1: a weight's relative error is that of its score, (width + 2) sqrt(width); what it is
    // multiplied with, (through - mean) / sqrt(width), is around 3 with an error of 2 (width + 1) sqrt(width); the
    // last factor is around 3; and every sum has up to `length` terms.
    const { width } = bind(inputs, params);
    return 3 * (3 + 2) * (width + 2) * Math.sqrt(width) + 2 * params.length + 8;
  },
  cases: [
    gradientCase("two sequences, two heads", 14, 16, { length: 7, heads: 2 }),
    gradientCase("sequences of one row", 5, 12, { length: 1, heads: 3 }),
    gradientCase("narrow heads that fill no vector", 30, 15, { length: 10, heads: 5 }),
    gradientCase("one wide head", 9, 256, { length: 9, heads: 1 }),
    gradientCase("odd length, odd width", 3 * 67, 26, { length: 67, heads: 2 }),
    gradientCase("several blocks of queries", 300, 64, { length: 300, heads: 2 }),
    gradientCase("several blocks of keys", 1030, 8, { length: 1030, heads: 1 }),
    gradientCase("many sequences", 1024, 16, { length: 128, heads: 2 }),
    gradientCase("one element", 1, 1, { length: 1, heads: 1 }),
    gradientCase("no rows", 0, 8, { length: 4, heads: 2 }),
  ],
};

/** The logarithms are those of sums of e^score over the length, give or take. */
function gradientCase(
  about: string,
  T: number,
  D: number,
  params: AttentionGradientParams,
): Case<AttentionGradientParams> {
  const low = Math.log(params.length);
  return {
    about,
    inputs: [
      { type: f32(T, 3 * D), fill: { kind: "normal" } },
      { type: f32(T, D), fill: { kind: "normal" } },
      { type: f32(T, params.heads), fill: { kind: "uniform", low, high: low + 1 } },
      { type: f32(T, D), fill: { kind: "normal" } },
    ],
    params,
  };
}
