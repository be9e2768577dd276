// One matrix product a group of rows: every expert's rows times its own matrix, without padding. The number of rows of
// a group is known on the device only, so the launch covers any split of the rows. What layers do around such a product
// (gather, bias, activation with its derivative, a factor) is part of it, so that no array is written to be read once.
import { type Activation, activationNumber } from "../parts/activation.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import {
  type ArrayType,
  bytesOf,
  type Case,
  type CaseInput,
  f16,
  f32,
  i32,
  type Kernel,
  match,
} from "../kernel.ts";
import { gatheredBytes, packedBytes, tiling } from "../parts/tiling.ts";
import { grid } from "../parts/grid.ts";
import own from "./gpu.wgsl" with { type: "text" };
import fused from "./fused.wgsl" with { type: "text" };
import activation from "../parts/activation.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import { productPrograms } from "../parts/product.ts";
import { roundingPass, toHalf } from "../to_half/kernel.ts";
import { unaryOperation } from "../unary/operations.ts";

const plainPrograms = productPrograms("grouped_matmul", own);
const fusedPrograms = productPrograms("grouped_matmul", own, math + activation + fused);
const mixedPrograms = productPrograms("grouped_matmul", own, math + activation + fused, "mixed");

/** How a factor is taken. */
export type Factor = "positive" | "value";

/** What two cases share. */
const biasedGelu = { transposeB: false, biased: true, activation: "gelu" } as const;
const factors: readonly Factor[] = ["positive", "value"];

/**
 * What a call does; each of the last five adds an input, in this order, or changes what becomes of a sum. Rows, matrices
 * and factors may be f16; sums are f32.
 */
export interface GroupedMatmulParams {
  /** Each group's matrix is stored transposed: `[E, M, K]` instead of `[E, K, M]`. */
  readonly transposeB: boolean;
  /** Row n is row floor(index[n] / each) of A, [R, K], zeros where that is outside; `index` is i32 [N]. */
  readonly each?: number;
  /** A bias for each group, f32 [E, M], is added. */
  readonly biased?: boolean;
  /** Applied in the end. All but relu, whose result says as much, give their derivatives as a second output. */
  readonly activation?: Activation;
  /** The result is multiplied by an array like it, [N, M], or by 1 where that is above 0 and 0 elsewhere. */
  readonly factor?: Factor;
  /** Outputs are stored as f16. */
  readonly half?: boolean;
}

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

function bind(inputs: readonly ArrayType[], params: GroupedMatmulParams): Bound {
  const { transposeB, each, biased, activation, factor } = params;
  if (each !== undefined && (!Number.isInteger(each) || each < 1)) {
    throw new RangeError(`Cannot run grouped_matmul: each is ${each}, it must be a whole number from 1`);
  }
  if (factor !== undefined && !factors.includes(factor)) {
    throw new RangeError(
      `Cannot run grouped_matmul: there is no factor "${factor}", there are ${factors.join(", ")}`,
    );
  }
  const bound = match("grouped_matmul", inputs, [
    each === undefined ? "f32|f16 NK" : "f32|f16 RK",
    transposeB ? "f32|f16 EMK" : "f32|f16 EKM",
    "i32 O",
    ...(each === undefined ? [] : ["i32 N"]),
    ...(biased ? ["f32 EM"] : []),
    ...(factor === undefined ? [] : ["f32|f16 NM"]),
  ]);
  const { N, E, K, M, O, R = N } = bound;
  if (O !== E + 1) {
    throw new RangeError(`Cannot run grouped_matmul: ${E} groups need ${E + 1} offsets, not ${O}`);
  }
  return {
    N,
    E,
    K,
    M,
    R,
    activation: activationNumber("grouped_matmul", activation),
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
  gpu(inputs, params, facts) {
    const { N, E, K, M, R, activation, factor, keeps } = bind(inputs, params);
    const { transposeB, each, biased, half } = params;
    const mixed = half || inputs.some(({ dtype }) => dtype === "f16");
    const plain = !mixed && each === undefined && !biased && activation < 0 && factor < 0;
    const programs = mixed ? mixedPrograms : plain ? plainPrograms : fusedPrograms;
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
          },
          integers: [N, E, K, M, R, each ?? 1],
          workgroups: grid(down * Math.ceil(M / tileColumns), facts),
        },
        ...(rounds ? outputs : []).map((output, place) => ({
          ...roundingPass(N * M, facts),
          reads: [sums[place]],
          writes: [output],
        })),
      ],
    };
  },
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
  cases: [
    ...[false, true].flatMap((transposeB) => [
      groupedCase("one group", [0, 13], 13, 7, 9, { transposeB }),
      groupedCase("a group without rows, ragged tiles", [0, 29, 29, 100, 131], 131, 41, 19, { transposeB }),
      groupedCase("all rows in one group", [0, 0, 0, 210, 210], 210, 17, 24, { transposeB }),
      groupedCase("rows past the last group", [0, 5, 11], 20, 12, 33, { transposeB }),
      groupedCase("no row in any group", [0, 0, 0, 0], 9, 5, 6, { transposeB }),
      groupedCase("no rows", [0, 0, 0], 0, 4, 8, { transposeB }),
      groupedCase("no terms", [0, 2, 3], 4, 0, 5, { transposeB }),
      groupedCase("one row, one element", [0, 1], 1, 1, 1, { transposeB }),
      groupedCase("64 groups of few rows", threes(64), 195, 16, 40, { transposeB }),
      groupedCase("long and wide", [0, 3, 200, 210], 215, 300, 270, { transposeB }),
      groupedCase("all at once", [0, 7, 50], 60, 21, 270, {
        transposeB,
        each: 1,
        biased: true,
        activation: "silu",
        factor: "value",
      }),
    ]),
    groupedCase("gathered", [0, 5, 11], 20, 12, 33, { transposeB: false, each: 1 }),
    groupedCase("gathered by two", [0, 29, 29, 100, 131], 140, 44, 20, { transposeB: false, each: 2 }),
    groupedCase("biased", [0, 5, 11], 20, 12, 33, { transposeB: false, biased: true }),
    groupedCase("biased, no terms", [0, 2, 3], 4, 0, 8, { transposeB: false, biased: true }),
    ...(["relu", "gelu", "silu"] as const).map((op) =>
      groupedCase(op, [0, 29, 29, 100, 131], 140, 12, 20, { transposeB: false, activation: op })
    ),
    ...factors.map((factor) =>
      groupedCase(`factor ${factor}`, [0, 29, 29, 100, 131], 140, 12, 20, { transposeB: true, factor })
    ),
    groupedCase("gathered, biased, gelu, whole vectors", [0, 100, 190], 200, 64, 136, {
      ...biasedGelu,
      each: 3,
    }),
    ...[false, true].map((transposeB) =>
      groupedCase("f16, long and wide", [0, 3, 200, 210], 215, 300, 268, { transposeB }, ["rows", "matrices"])
    ),
    groupedCase("f16, odd", [0, 29, 29, 100, 131], 140, 41, 19, { transposeB: false }, ["rows", "matrices"]),
    groupedCase("f16, whole vectors, all at once", [0, 7, 50], 60, 20, 72, {
      ...biasedGelu,
      each: 1,
      factor: "positive",
      half: true,
    }, ["rows", "matrices", "factors"]),
    groupedCase("f16, odd, all at once", [0, 7, 50], 60, 21, 75, {
      transposeB: false,
      each: 1,
      biased: true,
      activation: "silu",
      factor: "value",
      half: true,
    }, ["rows", "matrices", "factors"]),
    groupedCase("f16 of f32", [0, 5, 11], 20, 12, 32, { transposeB: false, half: true }),
    groupedCase("f32 rows, f16 matrices and factors", [0, 29, 29, 100, 131], 140, 12, 20, {
      transposeB: true,
      factor: "positive",
    }, ["matrices", "factors"]),
    // What is gathered is cut along the depth, see cpu.as.ts.
    groupedCase("gathered, deep", [0, 3, 40], 40, 2100, 20, { transposeB: false, each: 1 }),
  ],
};

function threes(groups: number): number[] {
  return Array.from({ length: groups + 1 }, (_, e) => 3 * e);
}

function groupedCase(
  about: string,
  offset: number[],
  N: number,
  K: number,
  M: number,
  params: GroupedMatmulParams,
  halves: readonly ("rows" | "matrices" | "factors")[] = [],
): Case<GroupedMatmulParams> {
  const E = offset.length - 1;
  const typed = (name: typeof halves[number], ...shape: number[]): ArrayType =>
    halves.includes(name) ? f16(...shape) : f32(...shape);
  const { transposeB, each, biased, factor } = params;
  const normal = (type: ArrayType): CaseInput => ({ type, fill: { kind: "normal" } });
  const R = 31;
  return {
    about: transposeB ? `${about}, transposed` : about,
    inputs: [
      normal(typed("rows", each === undefined ? N : R, K)),
      normal(transposeB ? typed("matrices", E, M, K) : typed("matrices", E, K, M)),
      { type: i32(E + 1), fill: { kind: "values", values: offset } },
      ...(each === undefined
        ? []
        : [{ type: i32(N), fill: { kind: "integers", low: -1, below: R * each } } as const]),
      ...(biased ? [normal(f32(E, M))] : []),
      ...(factor === undefined ? [] : [normal(typed("factors", N, M))]),
    ],
    params,
  };
}
