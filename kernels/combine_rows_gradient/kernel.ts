// Gradient of combine_rows for its rows: each gets its token's gradient times its assignment's weight. Rows are listed by
// assignment, as group_by's order does; -1 (past the last kept one) gives zeros.
import {
  type ArrayType,
  bytesOf,
  type Case,
  type CaseInput,
  f32,
  i32,
  type Kernel,
  match,
} from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** How the token of an assignment is found. */
export interface CombineRowsGradientParams {
  /** Every token has this many assignments in a row; otherwise the last input names tokens, i32 [N]. */
  readonly each?: number;
}

function bind(inputs: readonly ArrayType[], { each }: CombineRowsGradientParams) {
  if (each !== undefined && (!Number.isInteger(each) || each < 1)) {
    throw new RangeError(
      `Cannot run combine_rows_gradient: each is ${each}, it must be a whole number from 1`,
    );
  }
  return match("combine_rows_gradient", inputs, [
    "f32 GD",
    "i32 P",
    "f32 N",
    ...(each === undefined ? ["i32 N"] : []),
  ]);
}

export const combineRowsGradient: Kernel<CombineRowsGradientParams> = {
  name: "combine_rows_gradient",
  about: "dx[p] = weight[n] g[token[n]] with n = order[p]; zeros where the order is -1.",
  outputs(inputs, params) {
    const { P, D } = bind(inputs, params);
    return [f32(P, D)];
  },
  reference([g, order, weight, token], [dx], types, params) {
    const { G, P, D, N } = bind(types, params);
    for (let p = 0; p < P; p++) {
      const n = order[p];
      if (n < 0 || n >= N) continue;
      const row = token ? token[n] : Math.floor(n / params.each!);
      if (row < 0 || row >= G) continue;
      for (let d = 0; d < D; d++) dx[p * D + d] = weight[n] * g[row * D + d];
    }
  },
  wasm: "combineRowsGradient",
  cpu(inputs, params) {
    const { G, P, D, N } = bind(inputs, params);
    return {
      units: P,
      grain: Math.max(1, Math.floor(32768 / Math.max(8, D))),
      // The program finds its whole numbers behind room for five addresses.
      integers: [...params.each ? [0] : [], G, N, D, params.each ?? 0],
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { G, P, D, N } = bind(inputs, params);
    const four = D % 4 === 0;
    const width = four ? D / 4 : D;
    return {
      passes: [{
        program,
        entry: four ? "quads" : "singles",
        reads: [0, 1, 2, params.each ? 1 : 3],
        integers: [P * width, width, G, N, params.each ?? 0],
        workgroups: forEach(P * width, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { P, D } = bind(inputs, params);
    return { flop: P * D, bytes: 2 * bytesOf(f32(P, D)) + bytesOf(...inputs.slice(1)) };
  },
  rounding: () => 1,
  cases: [
    gradientCase("tokens in any order", 7, 19, 23, 40),
    gradientCase("two of each token", 20, 19, 50, 40, 2),
    gradientCase("one of each token, whole vectors", 12, 64, 12, 12, 1),
    gradientCase("whole vectors", 5, 32, 60, 9),
    gradientCase("many rows", 50, 64, 1500, 150, 3),
    gradientCase("no tokens", 0, 5, 3, 4),
    gradientCase("no columns", 3, 0, 4, 3, 1),
    gradientCase("no rows", 3, 4, 0, 3, 1),
    gradientCase("one element", 1, 1, 1, 1, 1),
  ],
};

function gradientCase(
  about: string,
  G: number,
  D: number,
  P: number,
  N: number,
  each?: number,
): Case<CombineRowsGradientParams> {
  const normal = (type: ArrayType): CaseInput => ({ type, fill: { kind: "normal" } });
  return {
    about,
    inputs: [
      normal(f32(G, D)),
      { type: i32(P), fill: { kind: "integers", low: P > 1 ? -1 : 0, below: N } },
      normal(f32(N)),
      ...(each === undefined
        ? [{ type: i32(N), fill: { kind: "integers", low: -1, below: G } } as const]
        : []),
    ],
    params: each === undefined ? {} : { each },
  };
}
