// Grouped products whose matrices are kept in fewer bits. Programs are those of grouped_matmul, which decode what they read of
// a matrix as they read it: there is no copy of a whole matrix in 32 bits. The definition is that of grouped_matmul on decoded
// matrices, so what fuses there (gather, bias, activation, factor) fuses here.
import {
  type ArrayType,
  bytesOf,
  type Case,
  type CaseInput,
  f32,
  i32,
  type Kernel,
  match,
  type NumberArray,
  shapeText,
} from "../kernel.ts";
import activation from "../parts/activation.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import { packedLayout, unpackMatrices } from "../parts/packed_weights.ts";
import { productPrograms } from "../parts/product.ts";
import { checkFormat, type WeightFormat, weightFormatNames } from "../parts/weight_formats.ts";
import fused from "../grouped_matmul/fused.wgsl" with { type: "text" };
import own from "../grouped_matmul/gpu.wgsl" with { type: "text" };
import { bind, groupedMatmul, type GroupedMatmulParams, launch } from "../grouped_matmul/kernel.ts";

const programs = productPrograms("quantised_matmul", own, math + activation + fused, "stored");

/** A call of grouped_matmul whose matrices, `[E, K, M]` of `inputs` K and `outputs` M, are words of `quantise`. */
export interface QuantisedMatmulParams extends Omit<GroupedMatmulParams, "half"> {
  readonly format: WeightFormat;
  /** What an output is a sum over, K of the matrices. */
  readonly inputs: number;
  /** M of the matrices. With `transposeB` a product sums over these. */
  readonly outputs: number;
}

/** The same call on decoded matrices. */
function decoded(types: readonly ArrayType[], params: QuantisedMatmulParams): ArrayType[] {
  const { format, inputs, outputs } = params;
  checkFormat("quantised_matmul", format);
  if (types.some(({ dtype }) => dtype === "f16")) {
    throw new TypeError("Cannot run quantised_matmul: it takes no f16; rows, biases and factors are f32");
  }
  const { E, W } = match("quantised_matmul", types.slice(0, 3), ["f32 NK", "i32 EW", "i32 O"]);
  const { words } = packedLayout(format, inputs, outputs);
  if (W !== words) {
    throw new RangeError(
      `Cannot run quantised_matmul: a matrix of ${inputs} inputs and ${outputs} outputs in ${format} takes ${words} ` +
        `words, not ${W}, as in shape ${shapeText(types[1].shape)}`,
    );
  }
  // Either way of taking them has the shape of the f32 matrices: grouped_matmul knows what it sums over.
  const all = types.map((type, at) => at === 1 ? f32(E, inputs, outputs) : type);
  bind(all, params, "quantised_matmul");
  return all;
}

export const quantisedMatmul: Kernel<QuantisedMatmulParams> = {
  name: "quantised_matmul",
  about: "Rows offset[e] to offset[e+1]-1 of A[N,K] times B[e], whose weights are kept in fewer bits.",
  outputs(types, params) {
    return groupedMatmul.outputs(decoded(types, params), params);
  },
  reference(given, results, types, params) {
    const { format, inputs, outputs } = params;
    const E = types[1].shape[0];
    const values = unpackMatrices(format, given[1] as Int32Array, [E, inputs, outputs]);
    const full = given.map((array, at): NumberArray => at === 1 ? values : array);
    groupedMatmul.reference(full, results, decoded(types, params), params);
  },
  wasm: "quantisedMatmul",
  cpu(types, params) {
    const { format, inputs, outputs } = params;
    const { rowWords, scalesAt, words, scaleColumns } = packedLayout(format, inputs, outputs);
    const start = groupedMatmul.cpu!(decoded(types, params), params);
    return {
      ...start,
      integers: [
        ...start.integers!,
        weightFormatNames.indexOf(format),
        ...[4 * rowWords, 4 * scalesAt, 4 * words, scaleColumns],
      ],
    };
  },
  wgsl: programs.all,
  gpu(types, params, facts) {
    const { format, inputs, outputs } = params;
    const { rowWords, words, scalesAt, scaleColumns } = packedLayout(format, inputs, outputs);
    return launch(decoded(types, params), params, facts, {
      programs,
      constants: { FORMAT: weightFormatNames.indexOf(format) },
      layout: [rowWords, words, scalesAt, scaleColumns],
    });
  },
  cost(types, params) {
    const { flop } = groupedMatmul.cost(decoded(types, params), params);
    return { flop, bytes: bytesOf(...types, ...quantisedMatmul.outputs(types, params)) };
  },
  // A weight is a code times a scale, rounded once; no activation is steeper than 1.13.
  rounding: (types, params) => groupedMatmul.rounding(decoded(types, params), params) + 2,
  gpuRounding: (types, params) => groupedMatmul.gpuRounding!(decoded(types, params), params) + 2,
  // Made when they are asked for: whoever multiplies has no need of them.
  get cases() {
    return allCases();
  },
};

function allCases(): Case<QuantisedMatmulParams>[] {
  const one = { format: "int4" } as const;
  return [
    ...weightFormatNames.flatMap((format) => [
      ...[false, true].map((transposeB) =>
        quantisedCase("a group without rows, ragged tiles", [0, 29, 29, 100, 131], 131, [41, 19], {
          format,
          transposeB,
        })
      ),
      quantisedCase("whole vectors, several blocks", [0, 3, 200, 210], 215, [300, 268], {
        format,
        transposeB: false,
      }),
    ]),
    // What decodes is alike for what follows: one format will do.
    quantisedCase("whole vectors, several blocks", [0, 3, 200, 210], 215, [300, 268], {
      ...one,
      transposeB: true,
    }),
    ...[false, true].flatMap((transposeB) => [
      quantisedCase("one row, one weight", [0, 1], 1, [1, 1], { ...one, transposeB }),
      quantisedCase("no rows", [0, 0, 0], 0, [4, 8], { ...one, transposeB }),
      quantisedCase("no terms", [0, 2, 3], 4, transposeB ? [5, 0] : [0, 5], { ...one, transposeB }),
    ]),
    quantisedCase("gathered, biased, gelu", [0, 7, 50], 60, [64, 136], {
      ...one,
      transposeB: false,
      each: 2,
      biased: true,
      activation: "gelu",
    }),
    quantisedCase("with a factor", [0, 29, 29, 100, 131], 140, [20, 33], {
      ...one,
      transposeB: true,
      factor: "value",
    }),
    // What is gathered is cut along the depth, see gathered.as.ts.
    quantisedCase("gathered, deep", [0, 3, 40], 40, [1700, 20], { ...one, transposeB: false, each: 1 }),
  ];
}

function quantisedCase(
  about: string,
  offset: number[],
  N: number,
  [K, M]: readonly [number, number],
  given: Omit<QuantisedMatmulParams, "inputs" | "outputs">,
): Case<QuantisedMatmulParams> {
  const { format, transposeB, each, biased, factor } = given;
  const E = offset.length - 1;
  const [depth, columns] = transposeB ? [M, K] : [K, M];
  const normal = (...shape: number[]): CaseInput => ({ type: f32(...shape), fill: { kind: "normal" } });
  const R = 31;
  const params = { ...given, inputs: K, outputs: M };
  return {
    about: `${format}, ${about}${transposeB ? ", transposed" : ""}`,
    inputs: [
      normal(each === undefined ? N : R, depth),
      {
        type: i32(E, packedLayout(format, K, M).words),
        fill: { kind: "values", values: words(format, K, M) },
      },
      { type: i32(E + 1), fill: { kind: "values", values: offset } },
      ...(each === undefined
        ? []
        : [{ type: i32(N), fill: { kind: "integers", low: -1, below: R * each } } as const]),
      ...(biased ? [normal(E, columns)] : []),
      ...(factor === undefined ? [] : [normal(N, columns)]),
    ],
    params,
  };
}

/** Codes of any kind, short of infinity and NaN, and scales around 1/32: one matrix, which is repeated for every expert. */
function words(format: WeightFormat, K: number, M: number): number[] {
  const { scalesAt, words } = packedLayout(format, K, M);
  const { keep, set } = CODES[format];
  return Array.from({ length: words }, (_, at) => {
    const scattered = Math.imul(at + 1, 0x9e3779b1) ^ Math.imul(at + 1, 0x85ebca6b) >>> 13;
    if (at < scalesAt) return scattered & keep | set;
    return format === "mxfp4" ? 0x7a7b7c79 + at % 3 : 0x3d000000 + (scattered & 0x7fffff);
  });
}

/** Bits of a word of codes that may be anything, and bits that are set: floats of 16 bits lie between 1/2 and 2. */
const CODES: Readonly<Record<WeightFormat, { readonly keep: number; readonly set: number }>> = {
  f16: { keep: 0x83ff83ff | 0, set: 0x38003800 },
  bf16: { keep: 0x80ff80ff | 0, set: 0x3f003f00 },
  int8: { keep: -1, set: 0 },
  int4: { keep: -1, set: 0 },
  fp8: { keep: 0xbfbfbfbf | 0, set: 0 },
  mxfp4: { keep: -1, set: 0 },
};
