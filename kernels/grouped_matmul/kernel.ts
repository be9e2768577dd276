// One matrix product a group of rows: every expert's rows times its own matrix, without padding. The number of rows of
// a group is known on the device only, so the launch covers any split of the rows. What layers do around such a product
// (gather, bias, activation with its derivative, a factor) is part of it, so that no array is written to be read once.
import { activationNumber } from "../parts/activation.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import {
  type ArrayType,
  bytesOf,
  f16,
  f32,
  type GpuFacts,
  type GpuLaunch,
  type Kernel,
  match,
} from "../kernel.ts";
import { gatheredBytes, packedBytes, tiling } from "../parts/tiling.ts";
import { grid } from "../parts/grid.ts";
import { cases } from "./cases.ts";
import { factors, type GroupedMatmulParams } from "./params.ts";
import own from "./gpu.wgsl" with { type: "text" };
import fused from "./fused.wgsl" with { type: "text" };
import activation from "../parts/activation.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import { type ProductPrograms, productPrograms } from "../parts/product.ts";
import { roundingPass, toHalf } from "../to_half/kernel.ts";
import { unaryOperation } from "../unary/operations.ts";

const plainPrograms = productPrograms("grouped_matmul", own);
const fusedPrograms = productPrograms("grouped_matmul", own, math + activation + fused);
const mixedPrograms = productPrograms("grouped_matmul", own, math + activation + fused, "mixed");

export type { GroupedMatmulParams };

interface Bound {
  readonly N: number;
  readonly E: number;
  readonly K: number;
  readonly M: number;
  /** Rows of A. */
  readonly R: number;
  readonly activation: number;
  readonly factor: number;
  /** True when there is a second output. */
  readonly keeps: boolean;
}

/** @throws {RangeError} for shapes and params, {TypeError} for kinds that do not fit; `kernel` is what the error names. */
export function bind(
  inputs: readonly ArrayType[],
  params: GroupedMatmulParams,
  kernel = "grouped_matmul",
): Bound {
  const { transposeB, each, biased, activation, factor } = params;
  if (each !== undefined && (!Number.isInteger(each) || each < 1)) {
    throw new RangeError(`Cannot run ${kernel}: each is ${each}, it must be a whole number from 1`);
  }
  if (factor !== undefined && !factors.includes(factor)) {
    throw new RangeError(
      `Cannot run ${kernel}: there is no factor "${factor}", there are ${factors.join(", ")}`,
    );
  }
  const bound = match(kernel, inputs, [
    each === undefined ? "f32|f16 NK" : "f32|f16 RK",
    transposeB ? "f32|f16 EMK" : "f32|f16 EKM",
    "i32 O",
    ...(each === undefined ? [] : ["i32 N"]),
    ...(biased ? ["f32 EM"] : []),
    ...(factor === undefined ? [] : ["f32|f16 NM"]),
  ]);
  const { N, E, K, M, O, R = N } = bound;
  if (O !== E + 1) {
    throw new RangeError(`Cannot run ${kernel}: ${E} groups need ${E + 1} offsets, not ${O}`);
  }
  return {
    N,
    E,
    K,
    M,
    R,
    activation: activationNumber(kernel, activation),
    factor: factor === undefined ? -1 : factors.indexOf(factor),
    keeps: activation !== undefined && activation !== "relu",
  };
}

/** Places of the optional inputs; those left out stand where an array of their kind does. */
function places({ each, biased, factor }: GroupedMatmulParams): { index: number; bias: number; at: number } {
  let next = 3;
  const place = (given: boolean, otherwise: number) => given ? next++ : otherwise;
  return {
    index: place(each !== undefined, 2),
    bias: place(!!biased, 1),
    at: place(factor !== undefined, 1),
  };
}

/** Matrices in a format of weights instead of f32: the programs that read them, and what those are told of them. */
export interface StoredMatrices {
  readonly programs: ProductPrograms;
  readonly constants: Readonly<Record<string, number>>;
  /** Words of an output's codes, of a matrix, and before its scales; scales of a group of outputs. */
  readonly layout: readonly [rowWords: number, matrixWords: number, scalesAt: number, scaleColumns: number];
}

/** How WGSL programs are started. Stored matrices have their outputs as rows, whichever way they are taken. */
export function launch(
  inputs: readonly ArrayType[],
  params: GroupedMatmulParams,
  facts: GpuFacts,
  stored?: StoredMatrices,
): GpuLaunch {
  const { N, E, K, M, R, activation, factor, keeps } = bind(inputs, params);
  const { each, biased, half } = params;
  const transposeB = stored ? !params.transposeB : params.transposeB;
  const mixed = half || inputs.some(({ dtype }) => dtype === "f16");
  const plain = !mixed && !stored && each === undefined && !biased && activation < 0 && factor < 0;
  const programs = stored?.programs ?? (mixed ? mixedPrograms : plain ? plainPrograms : fusedPrograms);
  const choice = programs.choose([K, M], { terms: K, groups: E + 1 }, facts);
  const { program, tileRows, tileColumns } = choice;
  // Every group may end in a tile of its own, and so may the rows that belong to none.
  const down = N === 0 ? 0 : Math.floor(N / tileRows) + E + 1;
  const { index, bias, at } = places(params);
  const outputs = keeps ? [inputs.length, inputs.length + 1] : [inputs.length];
  // Numbers of 16 bits are written by fours only, or two invocations might write one word: others in a pass of their own.
  const rounds = half === true && !choice.quads;
  const sums = rounds ? outputs.map((output) => output + outputs.length) : outputs;
  return {
    // fused.wgsl binds a second output even where nothing is written to it.
    scratch: [...(rounds ? sums.map(() => f32(N, M)) : []), ...(plain || keeps ? [] : [f32(4)])],
    passes: [
      {
        program,
        reads: [0, 1, 2, index, bias, at],
        writes: plain || keeps ? sums : [sums[0], sums[0] + 1],
        constants: {
          TRANSPOSE_A: 0,
          TRANSPOSE_B: Number(transposeB),
          ...(plain ? {} : {
            GATHERED: Number(each !== undefined),
            BIASED: Number(biased ?? false),
            KEEP: Number(keeps),
            ACTIVATION: activation,
            FACTOR: factor,
          }),
          ...(mixed
            ? {
              HALF_A: Number(inputs[0].dtype === "f16"),
              HALF_B: Number(inputs[1].dtype === "f16"),
              HALF_FACTOR: Number(inputs[at].dtype === "f16"),
            }
            : {}),
          ...(half && choice.quads ? { HALF_C: 1 } : {}),
          ...stored?.constants,
        },
        integers: [N, E, K, M, R, each ?? 1, ...(stored?.layout ?? [transposeB ? K : M, K * M])],
        workgroups: grid(down * Math.ceil(M / tileColumns), facts),
      },
      ...(rounds ? outputs : []).map((output, place) => ({
        ...roundingPass(N * M, facts),
        reads: [sums[place]],
        writes: [output],
      })),
    ],
  };
}

export const groupedMatmul: Kernel<GroupedMatmulParams> = {
  name: "grouped_matmul",
  about: "Rows offset[e] to offset[e+1]-1 of A[N,K] times B[e]; rows at or past offset[E] become 0.",
  outputs(inputs, params) {
    const { N, M, keeps } = bind(inputs, params);
    const c = params.half ? f16(N, M) : f32(N, M);
    return keeps ? [c, c] : [c];
  },
  reference(inputs, [c, slope], types, params) {
    const { E, K, M, R } = bind(types, params);
    const { transposeB, each } = params;
    const [a, b, offset] = inputs;
    const { index, bias, at } = places(params);
    for (let e = 0; e < E; e++) {
      for (let n = offset[e]; n < offset[e + 1]; n++) {
        const row = each === undefined ? n : Math.floor(inputs[index][n] / each);
        for (let j = 0; j < M; j++) {
          let sum = 0;
          for (let k = 0; k < K && row >= 0 && row < R; k++) {
            sum += a[row * K + k] * b[e * K * M + (transposeB ? j * K + k : k * M + j)];
          }
          if (params.biased) sum += inputs[bias][e * M + j];
          if (params.activation) {
            const { value, derivative } = unaryOperation("grouped_matmul", params.activation).operation;
            if (slope) slope[n * M + j] = derivative(sum);
            sum = value(sum);
          }
          if (params.factor) {
            const factor = inputs[at][n * M + j];
            sum *= params.factor === "value" ? factor : Number(factor > 0);
          }
          c[n * M + j] = sum;
        }
      }
    }
  },
  wasm: "groupedMatmul",
  cpu(inputs, params) {
    const { N, E, K, M, R, activation, factor, keeps } = bind(inputs, params);
    const { rows, columns } = tiling(N, M);
    // The program finds its whole numbers behind room for eight addresses.
    const unused = new Array<number>(8 - inputs.length - (keeps ? 2 : 1)).fill(0);
    const packed = packedBytes(rows, columns, K);
    return {
      units: (Math.floor(N / rows) + E + 1) * Math.ceil(M / columns),
      grain: 1,
      integers: [
        ...unused,
        ...[N, E, K, M, Number(params.transposeB), rows, columns],
        ...[params.each ?? 0, R, Number(params.biased ?? false), activation, factor, packed],
      ],
      scratchBytes: packed + (params.each === undefined ? 0 : gatheredBytes(rows, K)),
    };
  },
  wgsl: [...plainPrograms.all, ...fusedPrograms.all, ...mixedPrograms.all, ...toHalf.wgsl!],
  gpu: (inputs, params, facts) => launch(inputs, params, facts),
  cost(inputs, params) {
    const { N, K, M } = bind(inputs, params);
    return { flop: 2 * N * K * M, bytes: bytesOf(...inputs, ...groupedMatmul.outputs(inputs, params)) };
  },
  // No activation is steeper than 1.13, no derivative steeper than that; `unary` says what they add themselves.
  rounding(inputs, params) {
    const sums = bind(inputs, params).K + 1 + Number(params.biased ?? false);
    const factor = params.factor === "value" ? 1 : 0;
    if (!params.activation) return sums + factor;
    return Math.ceil(1.13 * sums) + (params.activation === "relu" ? 0 : 25) + factor;
  },
  gpuRounding(inputs, params) {
    const quotients = params.activation ? 2 * QUOTIENT : 0;
    return groupedMatmul.rounding(inputs, params) + quotients;
  },
  cases,
};
