// Gradient of grouped_matmul for the groups' matrices: each group's rows of A transposed times its rows of the
// gradient. Rows past the last group take no part. Rows of A may be read through an index, and A and the gradient be f16,
// as in grouped_matmul.
import { type ArrayType, bytesOf, type Case, f16, f32, i32, type Kernel, match } from "../kernel.ts";
import { gatheredBytes, packedBytes, tiling } from "../parts/tiling.ts";
import { grid } from "../parts/grid.ts";
import own from "./gpu.wgsl" with { type: "text" };
import gathered from "../parts/gathered.wgsl" with { type: "text" };
import { productPrograms } from "../parts/product.ts";

const plainPrograms = productPrograms("grouped_weight_gradient", own);
const gatheringPrograms = productPrograms("grouped_weight_gradient", own, gathered);
const mixedPrograms = productPrograms("grouped_weight_gradient", own, undefined, "mixed");
const mixedGatheringPrograms = productPrograms("grouped_weight_gradient", own, gathered, "mixed");

/** Where rows of A are. */
export interface GroupedWeightGradientParams {
  /** Row n is row floor(index[n] / each) of A, [R, K], zeros where that is outside; `index` is i32 [N]. */
  readonly each?: number;
}

function bind(inputs: readonly ArrayType[], { each }: GroupedWeightGradientParams) {
  if (each !== undefined && (!Number.isInteger(each) || each < 1)) {
    throw new RangeError(
      `Cannot run grouped_weight_gradient: each is ${each}, it must be a whole number from 1`,
    );
  }
  const bound = match(
    "grouped_weight_gradient",
    inputs,
    each === undefined
      ? ["f32|f16 NK", "f32|f16 NM", "i32 O"]
      : ["f32|f16 RK", "f32|f16 NM", "i32 O", "i32 N"],
  );
  if (bound.O < 1) {
    throw new RangeError("Cannot run grouped_weight_gradient: E groups need E + 1 offsets, not 0");
  }
  return { ...bound, R: each === undefined ? bound.N : bound.R, E: bound.O - 1 };
}

export const groupedWeightGradient: Kernel<GroupedWeightGradientParams> = {
  name: "grouped_weight_gradient",
  about: "C[e] = transposed A times G over rows offset[e] to offset[e+1]-1; 0 for a group without rows.",
  outputs(inputs, params) {
    const { E, K, M } = bind(inputs, params);
    return [f32(E, K, M)];
  },
  reference([a, g, offset, index], [c], types, params) {
    const { E, K, M, R } = bind(types, params);
    for (let e = 0; e < E; e++) {
      for (let k = 0; k < K; k++) {
        for (let m = 0; m < M; m++) {
          let sum = 0;
          for (let n = offset[e]; n < offset[e + 1]; n++) {
            const row = index ? Math.floor(index[n] / params.each!) : n;
            if (row >= 0 && row < R) sum += a[row * K + k] * g[n * M + m];
          }
          c[(e * K + k) * M + m] = sum;
        }
      }
    }
  },
  wasm: "groupedWeightGradient",
  cpu(inputs, params) {
    const { N, E, K, M, R } = bind(inputs, params);
    const { rows, columns } = tiling(K, M);
    const packed = packedBytes(rows, columns, N);
    return {
      units: E * Math.ceil(K / rows) * Math.ceil(M / columns),
      grain: 1,
      // The program finds its whole numbers behind room for five addresses.
      integers: [...params.each ? [] : [0], K, M, rows, columns, params.each ?? 0, R, packed],
      scratchBytes: packed + (params.each === undefined ? 0 : gatheredBytes(rows, N)),
    };
  },
  wgsl: [plainPrograms, gatheringPrograms, mixedPrograms, mixedGatheringPrograms].flatMap(({ all }) => all),
  gpu(inputs, params, facts) {
    const { N, E, K, M, R } = bind(inputs, params);
    const halves = inputs.map(({ dtype }) => dtype === "f16");
    const mixed = halves[0] || halves[1];
    const programs = mixed
      ? (params.each ? mixedGatheringPrograms : mixedPrograms)
      : params.each
      ? gatheringPrograms
      : plainPrograms;
    const { program, tileRows, tileColumns } = programs.choose([K, M], { terms: N }, facts);
    return {
      passes: [{
        program,
        // Bindings 5 and 6 are for grouped_matmul, which shares the files that load and store.
        reads: [0, 1, 2, params.each ? 3 : 2, 1, 1],
        constants: {
          TRANSPOSE_A: 1,
          TRANSPOSE_B: 0,
          ...(mixed ? { HALF_A: Number(halves[0]), HALF_B: Number(halves[1]) } : {}),
        },
        integers: [E, K, M, R, params.each ?? 1],
        workgroups: grid(E * Math.ceil(K / tileRows) * Math.ceil(M / tileColumns), facts),
      }],
    };
  },
  cost(inputs, params) {
    const { N, E, K, M } = bind(inputs, params);
    return { flop: 2 * N * K * M, bytes: bytesOf(...inputs, f32(E, K, M)) };
  },
  rounding(inputs, params) {
    return bind(inputs, params).N + 1;
  },
  cases: [
    gradientCase("one group", [0, 13], 13, 7, 9),
    gradientCase("a group without rows, ragged tiles", [0, 29, 29, 100, 131], 131, 41, 19),
    gradientCase("all rows in one group", [0, 0, 0, 270, 270], 270, 17, 24),
    gradientCase("rows past the last group", [0, 5, 11], 20, 12, 33),
    gradientCase("no row in any group", [0, 0, 0, 0], 9, 5, 6),
    gradientCase("no rows", [0, 0, 0], 0, 4, 8),
    gradientCase("one row, one element", [0, 1], 1, 1, 1),
    gradientCase("64 groups of few rows", Array.from({ length: 65 }, (_, e) => 3 * e), 195, 16, 40),
    gradientCase("several tiles", [0, 3, 30], 30, 210, 270),
    gradientCase("gathered", [0, 5, 11], 20, 12, 33, 1),
    gradientCase("gathered by two", [0, 29, 29, 100, 131], 131, 44, 20, 2),
    gradientCase("f16 rows", [0, 29, 29, 100, 131], 131, 44, 20, undefined, ["rows"]),
    gradientCase("f16 rows, odd", [0, 29, 29, 100, 131], 131, 41, 19, undefined, ["rows"]),
    gradientCase("f16 gradient", [0, 5, 11], 20, 12, 32, undefined, ["gradient"]),
    gradientCase("f16, gathered by two", [0, 3, 60], 70, 136, 72, 2, ["rows", "gradient"]),
    gradientCase("f16, gathered, odd", [0, 5, 11], 20, 13, 33, 1, ["rows", "gradient"]),
    // What is gathered is cut along the rows, see cpu.as.ts.
    gradientCase("gathered, many rows", [0, 3, 2100], 2103, 20, 9, 1),
  ],
};

function gradientCase(
  about: string,
  offset: number[],
  N: number,
  K: number,
  M: number,
  each?: number,
  halves: readonly ("rows" | "gradient")[] = [],
): Case<GroupedWeightGradientParams> {
  const R = each === undefined ? N : 31;
  return {
    about,
    inputs: [
      { type: halves.includes("rows") ? f16(R, K) : f32(R, K), fill: { kind: "normal" } },
      { type: halves.includes("gradient") ? f16(N, M) : f32(N, M), fill: { kind: "normal" } },
      { type: i32(offset.length), fill: { kind: "values", values: offset } },
      ...(each === undefined
        ? []
        : [{ type: i32(N), fill: { kind: "integers", low: -1, below: R * each } } as const]),
    ],
    params: each === undefined ? {} : { each },
  };
}
