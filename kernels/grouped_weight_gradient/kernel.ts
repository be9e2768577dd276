// Gradient of grouped_matmul for the groups' matrices: each group's rows of A transposed times its rows of the
// gradient. Rows past the last group take no part.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { tiling } from "../tiling.ts";
import { grid } from "../grid.ts";
import own from "./gpu.wgsl" with { type: "text" };
import { productPrograms } from "../product.ts";

const programs = productPrograms(own);

function bind(inputs: readonly ArrayType[]): Record<string, number> {
  const bound = match("grouped_weight_gradient", inputs, ["f32 NK", "f32 NM", "i32 O"]);
  if (bound.O < 1) {
    throw new RangeError("Cannot run grouped_weight_gradient: E groups need E + 1 offsets, not 0");
  }
  return { ...bound, E: bound.O - 1 };
}

export const groupedWeightGradient: Kernel<Record<string, never>> = {
  name: "grouped_weight_gradient",
  about: "C[e] = transposed A times G over rows offset[e] to offset[e+1]-1; 0 for a group without rows.",
  outputs(inputs) {
    const { E, K, M } = bind(inputs);
    return [f32(E, K, M)];
  },
  reference([a, g, offset], [c], types) {
    const { E, K, M } = bind(types);
    for (let e = 0; e < E; e++) {
      for (let k = 0; k < K; k++) {
        for (let m = 0; m < M; m++) {
          let sum = 0;
          for (let n = offset[e]; n < offset[e + 1]; n++) sum += a[n * K + k] * g[n * M + m];
          c[(e * K + k) * M + m] = sum;
        }
      }
    }
  },
  wasm: "groupedWeightGradient",
  cpu(inputs) {
    const { E, K, M } = bind(inputs);
    const { rows, columns } = tiling(K, M);
    return {
      units: E * Math.ceil(K / rows) * Math.ceil(M / columns),
      grain: 1,
      integers: [K, M, rows, columns],
    };
  },
  wgsl: programs.all,
  gpu(inputs, _params, facts) {
    const { E, K, M } = bind(inputs);
    const { program, tileRows, tileColumns } = programs.choose([K, M], facts);
    return {
      passes: [{
        program,
        constants: { TRANSPOSE_A: 1, TRANSPOSE_B: 0 },
        integers: [E, K, M],
        workgroups: grid(E * Math.ceil(K / tileRows) * Math.ceil(M / tileColumns), facts),
      }],
    };
  },
  cost(inputs) {
    const { N, E, K, M } = bind(inputs);
    return { flop: 2 * N * K * M, bytes: bytesOf(...inputs, f32(E, K, M)) };
  },
  rounding(inputs) {
    return bind(inputs).N + 1;
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
  ],
};

function gradientCase(
  about: string,
  offset: number[],
  N: number,
  K: number,
  M: number,
): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(N, K), fill: { kind: "normal" } },
      { type: f32(N, M), fill: { kind: "normal" } },
      { type: i32(offset.length), fill: { kind: "values", values: offset } },
    ],
    params: {},
  };
}
