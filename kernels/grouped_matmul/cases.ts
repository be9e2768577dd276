// Inputs that grouped_matmul's programs are held to.
import { type ArrayType, type Case, type CaseInput, f16, f32, i32 } from "../kernel.ts";
import { factors, type GroupedMatmulParams } from "./params.ts";

/** What two cases share. */
const biasedGelu = { transposeB: false, biased: true, activation: "gelu" } as const;

/** All of them. */
export const cases: readonly Case<GroupedMatmulParams>[] = [
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
];

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
