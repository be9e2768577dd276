// Dot products of chosen pairs of rows: the gradient of a routing weight is the dot of its token's gradient with the
// row its expert computed.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { grid } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

function bind(inputs: readonly ArrayType[]) {
  return match("row_dot", inputs, ["f32 RD", "i32 N", "f32 QD", "i32 N"]);
}

export const rowDot: Kernel<Record<string, never>> = {
  name: "row_dot",
  about: "y[n] = dot product of a[indexA[n]] and b[indexB[n]]; 0 where an index is -1.",
  outputs(inputs) {
    return [f32(bind(inputs).N)];
  },
  reference([a, indexA, b, indexB], [y], types) {
    const { N, D, R, Q } = bind(types);
    for (let n = 0; n < N; n++) {
      if (indexA[n] < 0 || indexA[n] >= R || indexB[n] < 0 || indexB[n] >= Q) continue;
      for (let d = 0; d < D; d++) y[n] += a[indexA[n] * D + d] * b[indexB[n] * D + d];
    }
  },
  wasm: "rowDot",
  cpu(inputs) {
    const { R, Q, N, D } = bind(inputs);
    return { units: N, grain: Math.max(1, Math.floor(32768 / Math.max(16, D))), integers: [R, Q, D] };
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const { R, Q, N, D } = bind(inputs);
    return { passes: [{ program, integers: [N, D, R, Q], workgroups: grid(Math.ceil(N / 4), facts) }] };
  },
  cost(inputs) {
    const { N, D } = bind(inputs);
    return { flop: 2 * N * D, bytes: 8 * N * D + bytesOf(inputs[1], inputs[3], f32(N)) };
  },
  rounding(inputs) {
    return bind(inputs).D + 1;
  },
  cases: [
    dotCase("odd width", 7, 5, 40, 39),
    dotCase("whole vectors", 7, 5, 40, 64),
    dotCase("narrow", 3, 3, 9, 2),
    dotCase("wide", 4, 6, 10, 1021),
    dotCase("many pairs", 90, 200, 1300, 21),
    dotCase("one element", 1, 1, 1, 1),
    dotCase("no columns", 3, 3, 5, 0),
    dotCase("no rows", 0, 3, 5, 8),
    dotCase("no pairs", 3, 3, 0, 8),
  ],
};

function dotCase(about: string, R: number, Q: number, N: number, D: number): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(R, D), fill: { kind: "normal" } },
      { type: i32(N), fill: { kind: "integers", low: N > 1 ? -1 : 0, below: R } },
      { type: f32(Q, D), fill: { kind: "normal" } },
      { type: i32(N), fill: { kind: "integers", low: N > 1 ? -1 : 0, below: Q } },
    ],
    params: {},
  };
}
