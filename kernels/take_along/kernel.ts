// Chosen entries of each row, such as the scores of the chosen experts. An index outside the row (-1 for no choice)
// gives 0.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

function bind(inputs: readonly ArrayType[]) {
  return match("take_along", inputs, ["any TE", "i32 TK"]);
}

export const takeAlong: Kernel<Record<string, never>> = {
  name: "take_along",
  about: "y[t,i] = x[t, index[t,i]]; 0 where the index is -1.",
  outputs(inputs) {
    const { T, K } = bind(inputs);
    return [{ dtype: inputs[0].dtype, shape: [T, K] }];
  },
  reference([x, index], [y], types) {
    const { T, E, K } = bind(types);
    for (let t = 0; t < T; t++) {
      for (let i = 0; i < K; i++) {
        const entry = index[t * K + i];
        if (entry >= 0 && entry < E) y[t * K + i] = x[t * E + entry];
      }
    }
  },
  wasm: "takeAlong",
  cpu(inputs) {
    const { T, E, K } = bind(inputs);
    return { units: T, grain: Math.max(1, Math.floor(8192 / Math.max(1, K))), integers: [E, K] };
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const { T, E, K } = bind(inputs);
    return { passes: [{ program, integers: [T * K, E, K], workgroups: forEach(T * K, facts) }] };
  },
  cost(inputs) {
    const { T, K } = bind(inputs);
    return { flop: 0, bytes: bytesOf(inputs[1]) + 8 * T * K };
  },
  rounding() {
    return 0;
  },
  cases: [
    takeCase("two of eight", f32(60, 8), 2),
    takeCase("more than there are", f32(9, 3), 7),
    takeCase("whole numbers", i32(40, 13), 3),
    takeCase("one of one", f32(1, 1), 1),
    takeCase("many rows", f32(5000, 7), 3),
    takeCase("rows of no entries", f32(4, 0), 2),
    takeCase("no indices", f32(4, 5), 0),
    takeCase("no rows", f32(0, 5), 2),
  ],
};

function takeCase(about: string, x: ArrayType, K: number): Case<Record<string, never>> {
  const [T, E] = x.shape;
  return {
    about,
    inputs: [
      { type: x, fill: x.dtype === "f32" ? { kind: "normal" } : { kind: "integers", low: -99, below: 99 } },
      { type: i32(T, K), fill: { kind: "integers", low: E > 1 ? -1 : 0, below: Math.max(1, E) } },
    ],
    params: {},
  };
}
