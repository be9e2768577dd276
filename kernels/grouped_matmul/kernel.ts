// One matrix product a group of rows: every expert's rows times its own matrix, without padding. The number of rows of
// a group is known on the device only, so the launch covers any split of the rows.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { tiling } from "../tiling.ts";
import { grid } from "../grid.ts";
import own from "./gpu.wgsl" with { type: "text" };
import { productPrograms } from "../product.ts";

const programs = productPrograms(own);

/** Whether each group's matrix is stored transposed: `[E, M, K]` instead of `[E, K, M]`. */
export interface GroupedMatmulParams {
  readonly transposeB: boolean;
}

function bind(inputs: readonly ArrayType[], params: GroupedMatmulParams): Record<string, number> {
  const bound = match("grouped_matmul", inputs, [
    "f32 NK",
    params.transposeB ? "f32 EMK" : "f32 EKM",
    "i32 O",
  ]);
  if (bound.O !== bound.E + 1) {
    throw new RangeError(
      `Cannot run grouped_matmul: ${bound.E} groups need ${bound.E + 1} offsets, not ${bound.O}`,
    );
  }
  return bound;
}

export const groupedMatmul: Kernel<GroupedMatmulParams> = {
  name: "grouped_matmul",
  about: "Rows offset[e] to offset[e+1]-1 of A[N,K] times B[e]; rows at or past offset[E] become 0.",
  outputs(inputs, params) {
    const { N, M } = bind(inputs, params);
    return [f32(N, M)];
  },
  reference([a, b, offset], [c], types, params) {
    const { E, K, M } = bind(types, params);
    for (let e = 0; e < E; e++) {
      for (let n = offset[e]; n < offset[e + 1]; n++) {
        for (let j = 0; j < M; j++) {
          let sum = 0;
          for (let k = 0; k < K; k++) {
            sum += a[n * K + k] * b[e * K * M + (params.transposeB ? j * K + k : k * M + j)];
          }
          c[n * M + j] = sum;
        }
      }
    }
  },
  wasm: "groupedMatmul",
  cpu(inputs, params) {
    const { N, E, K, M } = bind(inputs, params);
    const { rows, columns } = tiling(N, M);
    return {
      units: (Math.floor(N / rows) + E + 1) * Math.ceil(M / columns),
      grain: 1,
      integers: [N, E, K, M, Number(params.transposeB), rows, columns],
    };
  },
  wgsl: programs.all,
  gpu(inputs, params, facts) {
    const { N, E, K, M } = bind(inputs, params);
    const { program, tileRows, tileColumns } = programs.choose([K, M], facts);
    // Every group may end in a tile of its own, and so may the rows that belong to none.
    const down = N === 0 ? 0 : Math.floor(N / tileRows) + E + 1;
    return {
      passes: [{
        program,
        constants: { TRANSPOSE_A: 0, TRANSPOSE_B: Number(params.transposeB) },
        integers: [N, E, K, M],
        workgroups: grid(down * Math.ceil(M / tileColumns), facts),
      }],
    };
  },
  cost(inputs, params) {
    const { N, K, M } = bind(inputs, params);
    return { flop: 2 * N * K * M, bytes: bytesOf(...inputs, f32(N, M)) };
  },
  rounding(inputs, params) {
    return bind(inputs, params).K + 1;
  },
  cases: [false, true].flatMap((transposeB) => [
    groupedCase("one group", [0, 13], 13, 7, 9, transposeB),
    groupedCase("a group without rows, ragged tiles", [0, 29, 29, 100, 131], 131, 41, 19, transposeB),
    groupedCase("all rows in one group", [0, 0, 0, 210, 210], 210, 17, 24, transposeB),
    groupedCase("rows past the last group", [0, 5, 11], 20, 12, 33, transposeB),
    groupedCase("no row in any group", [0, 0, 0, 0], 9, 5, 6, transposeB),
    groupedCase("no rows", [0, 0, 0], 0, 4, 8, transposeB),
    groupedCase("no terms", [0, 2, 3], 4, 0, 5, transposeB),
    groupedCase("one row, one element", [0, 1], 1, 1, 1, transposeB),
    groupedCase(
      "64 groups of few rows",
      Array.from({ length: 65 }, (_, e) => 3 * e),
      195,
      16,
      40,
      transposeB,
    ),
    groupedCase("long and wide", [0, 3, 200, 210], 215, 300, 270, transposeB),
  ]),
};

function groupedCase(
  about: string,
  offset: number[],
  N: number,
  K: number,
  M: number,
  transposeB: boolean,
): Case<GroupedMatmulParams> {
  const E = offset.length - 1;
  return {
    about: transposeB ? `${about}, transposed` : about,
    inputs: [
      { type: f32(N, K), fill: { kind: "normal" } },
      { type: transposeB ? f32(E, M, K) : f32(E, K, M), fill: { kind: "normal" } },
      { type: i32(E + 1), fill: { kind: "values", values: offset } },
    ],
    params: { transposeB },
  };
}
