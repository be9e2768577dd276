// Gradient of attention for queries, keys and values. Weights are made again from the scores and their normalizers
// (Dao et al. 2022, arXiv:2205.14135, algorithm 4), so the forward pass need not keep them.
import {
  type AttentionCase,
  attentionInputs,
  type AttentionParams,
  type AttentionShape,
  attentionShape,
  causalBytes,
  isSerial,
  roomFor,
} from "../attention/kernel.ts";
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { forEach, grid } from "../parts/grid.ts";
import { packedBytes } from "../parts/tiling.ts";
import program from "./gpu.wgsl" with { type: "text" };
import apart from "./gpu_apart.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import means from "./gpu_mean.wgsl" with { type: "text" };
import oneArray from "./gpu_packed.wgsl" with { type: "text" };
import serial from "./gpu_serial.wgsl" with { type: "text" };

/** The same as attention's. */
export type AttentionGradientParams = AttentionParams;

function bind(inputs: readonly ArrayType[], params: AttentionGradientParams): AttentionShape {
  const patterns = ["f32 TA", "f32 TB", "f32 TC", "i32 O", "f32 TD", "f32 THP", "f32 TD"];
  const { D, H, P } = match("attention_gradient", inputs, patterns);
  const shape = attentionShape("attention_gradient", inputs.slice(0, 4), params);
  if (D !== shape.D) {
    throw new RangeError(
      `Cannot run attention_gradient: input 4 has ${D} columns, ${shape.D} were expected`,
    );
  }
  if (P !== 2) throw new RangeError(`Cannot run attention_gradient: input 5 has ${P} columns, not 2`);
  if (H !== params.heads) {
    throw new RangeError(`Cannot run attention_gradient: input 5 has ${H} columns for ${params.heads} heads`);
  }
  return shape;
}

/** Most queries of a sequence that are taken together: their weights and the gradients of those share 3 MiB. */
const MOST_QUERIES = 48;
const SCORES = 390000;

/** Scores of a block of any sequence of up to `longest` rows. */
function mostScores(longest: number): number {
  const room = roomFor(longest);
  return Math.max(room, Math.min(MOST_QUERIES * room, SCORES));
}

export const attentionGradient: Kernel<AttentionGradientParams> = {
  name: "attention_gradient",
  about:
    "Gradient of attention: (q, k, v, offsets, o, normalizer, gradient of o) to those of q, k and v, in one array if they came so.",
  outputs(inputs, params) {
    bind(inputs, params);
    return inputs.slice(0, params.packed ? 1 : 3);
  },
  reference([q, k, v, offset, o, normalizer, g], gradients, types, params) {
    const { D, width, sequences, strides, keyColumn, valueColumn } = bind(types, params);
    const [dq, dk, dv] = params.packed ? [gradients[0], gradients[0], gradients[0]] : gradients;
    const scale = 1 / Math.sqrt(width);
    const share = params.heads / params.keyValueHeads;
    for (let s = 0; s < sequences; s++) {
      for (let t = offset[s]; t < offset[s + 1]; t++) {
        for (let head = 0; head < params.heads; head++) {
          const own = t * D + head * width;
          const pair = 2 * (t * params.heads + head);
          const query = t * strides[0] + head * width;
          const column = Math.floor(head / share) * width;
          let mean = 0;
          for (let c = 0; c < width; c++) mean += g[own + c] * o[own + c];
          for (let u = offset[s]; u <= t; u++) {
            const key = u * strides[1] + keyColumn + column;
            const value = u * strides[2] + valueColumn + column;
            let score = 0;
            let through = 0;
            for (let c = 0; c < width; c++) {
              score += q[query + c] * k[key + c];
              through += g[own + c] * v[value + c];
            }
            const weight = Math.exp((score - normalizer[pair]) * scale - normalizer[pair + 1]);
            const back = weight * (through - mean) * scale;
            for (let c = 0; c < width; c++) {
              dq[query + c] += back * k[key + c];
              dk[key + c] += back * q[query + c];
              dv[value + c] += weight * g[own + c];
            }
          }
        }
      }
    }
  },
  wasm: "attentionGradient",
  cpu(inputs, params) {
    const { width, sequences, strides, keyColumn, valueColumn } = bind(inputs, params);
    const { heads, keyValueHeads, longest, packed } = params;
    const bytes = Math.max(causalBytes(longest, width), packedBytes(longest, width, MOST_QUERIES));
    const each = heads / keyValueHeads * longest * longest * Math.max(8, width);
    return {
      units: longest === 0 ? 0 : sequences * keyValueHeads,
      grain: Math.max(1, Math.floor(65536 / Math.max(1, each))),
      integers: [
        // The program finds its whole numbers behind room for three gradients.
        ...(packed ? [0, 0] : []),
        ...[heads, keyValueHeads, width, ...strides, keyColumn, valueColumn, Number(packed), bytes],
      ],
      floats: [1 / Math.sqrt(width)],
      scratchBytes: bytes + 8 * mostScores(longest),
    };
  },
  wgsl: [
    means,
    ...[oneArray, apart].flatMap((outputs) => [program, serial].map((own) => math + outputs + own)),
  ],
  gpu(inputs, params, facts) {
    const { T, width, sequences, strides, keyColumn, valueColumn } = bind(inputs, params);
    const { heads, keyValueHeads, longest, packed } = params;
    const share = heads / keyValueHeads;
    const alone = isSerial(share * longest, width, facts);
    const blocks = Math.ceil(longest / (alone ? 4 : 8));
    const slots = alone ? 1 : Math.ceil(width / 64);
    const [firstOutput, scratch] = [7, packed ? 8 : 10];
    const pass = (entry: string, perSequence: number, writes: readonly number[]) => {
      const units = sequences * perSequence * blocks * slots;
      return {
        program: math + (packed ? oneArray : apart) + (alone ? serial : program),
        entry,
        reads: [0, 1, 2, 3, 6, scratch],
        writes,
        integers: [width, heads, share, ...strides, keyColumn, valueColumn, blocks, slots, units],
        floats: [1 / Math.sqrt(width)],
        workgroups: grid(alone ? Math.ceil(units / 32) : units, facts),
      };
    };
    return {
      scratch: [f32(T, heads, 4)],
      passes: [
        {
          program: means,
          reads: [4, 5, 6],
          writes: [scratch],
          integers: [T * heads, width],
          workgroups: forEach(T * heads, facts),
        },
        pass("queries", heads, [firstOutput]),
        pass("keysAndValues", keyValueHeads, packed ? [firstOutput] : [firstOutput + 1, firstOutput + 2]),
      ],
    };
  },
  cost(inputs, params) {
    const { T, D, width } = bind(inputs, params);
    const given = f32(T, D + 2 * params.keyValueHeads * width);
    return { flop: 10 * params.pairs * D, bytes: bytesOf(given, ...inputs.slice(3), given) };
  },
  rounding(inputs, params) {
    // For entries around 1: a weight's relative error is that of its score, (width + 2) sqrt(width); what it is
    // multiplied with, (through - mean) / sqrt(width), is around 3 with an error of 2 (width + 1) sqrt(width); the
    // last factor is around 3; and every sum has up to `longest` terms, as many more as heads share a key.
    const { width } = bind(inputs, params);
    const terms = params.longest * params.heads / params.keyValueHeads;
    return 3 * (3 + 2) * (width + 2) * Math.sqrt(width) + 2 * terms + 8;
  },
  cases: [
    gradientCase("two sequences, two heads", [7, 7], { heads: 2, width: 8 }),
    gradientCase("sequences of one row", [1, 1, 1, 1, 1], { heads: 3, width: 4 }),
    gradientCase("narrow heads that fill no vector", [10, 10, 10], { heads: 5, width: 3 }),
    gradientCase("one wide head", [9], { heads: 1, width: 256 }),
    gradientCase("odd length, odd width", [67, 67, 67], { heads: 2, width: 13 }),
    gradientCase("several blocks of queries", [300], { heads: 2, width: 32 }),
    gradientCase("several blocks of keys", [1030], { heads: 1, width: 8 }),
    gradientCase("many sequences", new Array<number>(8).fill(128), { heads: 2, width: 8 }),
    gradientCase("lengths that differ, one of them 0", [5, 0, 1, 131, 17], { heads: 2, width: 8 }),
    gradientCase("apart", [5, 12], { heads: 2, width: 8, packed: false }),
    gradientCase("grouped heads", [70, 9], { heads: 6, keyValueHeads: 2, width: 5 }),
    gradientCase("one head of keys, apart, a wide one", [20, 3], {
      heads: 3,
      keyValueHeads: 1,
      width: 72,
      packed: false,
    }),
    gradientCase("one element", [1], { heads: 1, width: 1 }),
    gradientCase("no rows", [0], { heads: 2, width: 4 }),
    gradientCase("no sequences", [], { heads: 2, width: 4 }),
  ],
};

/** The logarithms are those of sums of e^score over the length, give or take. */
function gradientCase(
  about: string,
  lengths: readonly number[],
  shape: AttentionCase,
): Case<AttentionGradientParams> {
  const { T, inputs, params } = attentionInputs(lengths, shape);
  const D = shape.heads * shape.width;
  const low = Math.log(Math.max(1, params.longest));
  return {
    about,
    inputs: [
      ...inputs,
      { type: f32(T, D), fill: { kind: "normal" } },
      { type: f32(T, params.heads, 2), fill: { kind: "uniform", low: low / 2, high: low / 2 + 1 } },
      { type: f32(T, D), fill: { kind: "normal" } },
    ],
    params,
  };
}
