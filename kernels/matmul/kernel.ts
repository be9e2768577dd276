// Dense matrix product in all transpositions.
import { type ArrayType, bytesOf, f32, type Kernel, match } from "../kernel.ts";
import { packedBytes, tiling } from "../parts/tiling.ts";
import { grid } from "../parts/grid.ts";
import own from "./gpu.wgsl" with { type: "text" };
import { productPrograms } from "../parts/product.ts";

const programs = productPrograms("matmul", own);

/** Whether an operand is read as its transpose. */
export interface MatmulParams {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function bind(inputs: readonly ArrayType[], params: MatmulParams) {
  return match("matmul", inputs, [
    params.transposeA ? "f32 KM" : "f32 MK",
    params.transposeB ? "f32 NK" : "f32 KN",
  ]);
}

export const matmul: Kernel<MatmulParams> = {
  name: "matmul",
  about: "C[M,N] = A[M,K] B[K,N], either operand stored transposed.",
  outputs(inputs, params) {
    const { M, N } = bind(inputs, params);
    return [f32(M, N)];
  },
  reference([a, b], [c], types, params) {
    const { M, N, K } = bind(types, params);
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          sum += a[params.transposeA ? k * M + i : i * K + k] * b[params.transposeB ? j * K + k : k * N + j];
        }
        c[i * N + j] = sum;
      }
    }
  },
  wasm: "matmul",
  cpu(inputs, params) {
    const { M, N, K } = bind(inputs, params);
    const { rows, columns } = tiling(M, N);
    return {
      units: Math.ceil(M / rows) * Math.ceil(N / columns),
      grain: 1,
      integers: [M, N, K, Number(params.transposeA), Number(params.transposeB), rows, columns],
      scratchBytes: packedBytes(Math.min(rows, M), Math.min(columns, N), K),
    };
  },
  wgsl: programs.all,
  gpu(inputs, params, facts) {
    const { M, N, K } = bind(inputs, params);
    const rowLengths = [params.transposeA ? M : K, params.transposeB ? K : N, N];
    const { program, tileRows, tileColumns } = programs.choose(rowLengths, { terms: K }, facts);
    return {
      passes: [{
        program,
        // Bindings 3 to 6 are for grouped products, which share the files that load and store.
        reads: [0, 1, 1, 1, 1, 1],
        constants: { TRANSPOSE_A: Number(params.transposeA), TRANSPOSE_B: Number(params.transposeB) },
        integers: [M, N, K],
        workgroups: grid(Math.ceil(M / tileRows) * Math.ceil(N / tileColumns), facts),
      }],
    };
  },
  cost(inputs, params) {
    const { M, N, K } = bind(inputs, params);
    return { flop: 2 * M * N * K, bytes: bytesOf(...inputs, f32(M, N)) };
  },
  rounding(inputs, params) {
    return bind(inputs, params).K + 1;
  },
  cases: [
    matmulCase("one tile", 6, 8, 16),
    matmulCase("edges on every side", 13, 19, 7),
    matmulCase("one element", 1, 1, 1),
    matmulCase("row times matrix", 1, 33, 300),
    matmulCase("no terms", 3, 5, 0),
    matmulCase("several blocks along K", 30, 40, 600),
    matmulCase("several tiles", 500, 600, 20),
    matmulCase("transposed A", 37, 29, 41, true, false),
    matmulCase("transposed B", 37, 29, 41, false, true),
    matmulCase("both transposed", 37, 29, 41, true, true),
    matmulCase("transposed A, long", 210, 70, 520, true, false),
    matmulCase("transposed B, wide", 20, 700, 270, false, true),
  ],
};

function matmulCase(about: string, M: number, N: number, K: number, transposeA = false, transposeB = false) {
  return {
    about,
    inputs: [
      { type: transposeA ? f32(K, M) : f32(M, K), fill: { kind: "normal" } as const },
      { type: transposeB ? f32(N, K) : f32(K, N), fill: { kind: "normal" } as const },
    ],
    params: { transposeA, transposeB },
  };
}
