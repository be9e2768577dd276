// Weights into fewer bits. Words are the same, bit for bit, on the CPU and on every GPU: see weight_formats.ts.
import { bytesOf, type Case, type CaseInput, f32, i32, type Kernel, match, sizeOf } from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import half from "../parts/half.wgsl" with { type: "text" };
import { packedLayout, packMatrices } from "../parts/packed_weights.ts";
import {
  BLOCK,
  checkFormat,
  type WeightFormat,
  weightFormatNames,
  weightFormats,
} from "../parts/weight_formats.ts";
import own from "./gpu.wgsl" with { type: "text" };

const program = half + own;

/** Between two codes, and at the ends of ranges, for blocks whose largest size is 448, 127, 7 or 6. */
const EDGES = [448, 127, 7, 6].flatMap((largest) => [
  ...[largest, 0.5, 1.5, -2.5, 0.25, -0.75, 1.25, 1.75, 2.5, -3.5, 5, 3.4999998, 5.0000005],
  ...[1, 3, 5, 7, 9, 15].map((steps) => steps * 2 ** -10),
  ...[17, 19, -21, 31].map((steps) => steps * 2 ** -4),
  ...[1 + 2 ** -8, 1 + 3 * 2 ** -8, -(1 + 2 ** -11), 1 + 3 * 2 ** -11, 65519, 2 ** -15, 3 * 2 ** -25].map(
    (value) => Math.abs(value) <= largest ? value : -largest,
  ),
  ...[0, -0],
]);

const FAR = [1e-38, -3e30, 1e-20, 1e-31, 2e-31, 0].flatMap((value) => [value, 0.3 * value, -0.7 * value]);

/** Outputs that a unit takes: those that share a scale where they are most. */
const STRIPE = 128;

/** The format that weights are put into. */
export interface QuantiseParams {
  readonly format: WeightFormat;
}

export const quantise: Kernel<QuantiseParams> = {
  name: "quantise",
  about: "Matrices [E, K, M] in a format of weights: outputs as rows of codes, then scales, as i32 words.",
  outputs(inputs, { format }) {
    checkFormat("quantise", format);
    const { E, K, M } = match("quantise", inputs, ["f32 EKM"]);
    return [i32(E, packedLayout(format, K, M).words)];
  },
  reference([x], [words], types, { format }) {
    const { E, K, M } = match("quantise", types, ["f32 EKM"]);
    words.set(packMatrices(format, x, [E, K, M]));
  },
  wasm: "quantise",
  cpu(inputs, { format }) {
    const { E, K, M } = match("quantise", inputs, ["f32 EKM"]);
    const { rowWords, scalesAt, words, scaleColumns } = packedLayout(format, K, M);
    return {
      units: E * Math.ceil(M / STRIPE),
      grain: Math.max(1, Math.floor(4096 / Math.max(1, K * STRIPE))),
      integers: [
        K,
        M,
        weightFormatNames.indexOf(format),
        ...[4 * rowWords, 4 * scalesAt, 4 * words, scaleColumns],
      ],
    };
  },
  wgsl: [program],
  gpu(inputs, { format }, facts) {
    const { E, K, M } = match("quantise", inputs, ["f32 EKM"]);
    const { rowWords, scalesAt, words, scaleColumns } = packedLayout(format, K, M);
    const blocks = weightFormats[format].block ? Math.ceil(K / BLOCK) : 0;
    const pass = (entry: string, count: number) => ({
      program,
      entry,
      reads: [0],
      writes: [2, 1],
      constants: { FORMAT: weightFormatNames.indexOf(format) },
      integers: [E, K, M, rowWords, words, scalesAt, scaleColumns],
      workgroups: forEach(count, facts),
    });
    return {
      scratch: [f32(Math.max(1, E * blocks * M))],
      passes: [
        pass("sizes", E * blocks * M),
        pass("scales", E * (words - scalesAt)),
        pass("codes", E * rowWords * M),
      ],
    };
  },
  cost(inputs, params) {
    const flop = 4 * sizeOf(inputs[0].shape);
    return { flop, bytes: bytesOf(inputs[0], ...quantise.outputs(inputs, params)) };
  },
  rounding: () => 0,
  cases: weightFormatNames.flatMap((format) => [
    quantiseCase("ragged blocks", format, [2, 41, 19], { kind: "normal", scale: 0.1 }),
    quantiseCase("several blocks and stripes", format, [3, 300, 140], { kind: "normal" }),
    quantiseCase("one weight", format, [1, 1, 1], { kind: "normal" }),
    quantiseCase("no inputs", format, [2, 0, 3], { kind: "normal" }),
    quantiseCase("no outputs", format, [2, 3, 0], { kind: "normal" }),
    quantiseCase("zeros", format, [1, 32, 4], { kind: "values", values: [0, -0] }),
    quantiseCase("ties and edges", format, [1, EDGES.length, 1], { kind: "values", values: EDGES }),
    quantiseCase("tiny and huge", format, [1, 64, 6], { kind: "values", values: FAR }),
    ...[Infinity, NaN].map((value) =>
      quantiseCase(`a block with ${value}`, format, [1, 64, 2], {
        kind: "values",
        values: [...new Array<number>(70).fill(1), value, ...new Array<number>(57).fill(-2)],
      })
    ),
  ]),
};

function quantiseCase(
  about: string,
  format: WeightFormat,
  [E, K, M]: readonly [number, number, number],
  fill: CaseInput["fill"],
): Case<QuantiseParams> {
  return { about: `${format}, ${about}`, inputs: [{ type: f32(E, K, M), fill }], params: { format } };
}
