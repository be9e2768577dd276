// Gradient of take_along: puts each gradient back into its row. Where an index repeats, gradients add in order.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Entries in a row of what take_along read. */
export interface TakeAlongGradientParams {
  readonly columns: number;
}

function bind(inputs: readonly ArrayType[], { columns }: TakeAlongGradientParams) {
  const bound = match("take_along_gradient", inputs, ["i32 TK", "f32 TK"]);
  if (!Number.isInteger(columns) || columns < 0) {
    throw new RangeError(
      `Cannot run take_along_gradient: columns is ${columns}, it must be a whole number from 0`,
    );
  }
  return { ...bound, E: columns };
}

export const takeAlongGradient: Kernel<TakeAlongGradientParams> = {
  name: "take_along_gradient",
  about: "dx[t,e] = sum of g[t,i] over the i with index[t,i] = e; index -1 adds nothing.",
  outputs(inputs, params) {
    const { T, E } = bind(inputs, params);
    return [f32(T, E)];
  },
  reference([index, g], [dx], types, params) {
    const { T, E, K } = bind(types, params);
    for (let t = 0; t < T; t++) {
      for (let i = 0; i < K; i++) {
        const entry = index[t * K + i];
        if (entry >= 0 && entry < E) dx[t * E + entry] += g[t * K + i];
      }
    }
  },
  wasm: "takeAlongGradient",
  cpu(inputs, params) {
    const { T, E, K } = bind(inputs, params);
    return { units: T, grain: Math.max(1, Math.floor(16384 / Math.max(1, 4 * K + E))), integers: [E, K] };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { T, E, K } = bind(inputs, params);
    return { passes: [{ program, integers: [T * E, E, K], workgroups: forEach(T * E, facts) }] };
  },
  cost(inputs, params) {
    const { T, E, K } = bind(inputs, params);
    return { flop: T * K, bytes: bytesOf(...inputs, f32(T, E)) };
  },
  rounding(inputs, params) {
    return bind(inputs, params).K;
  },
  cases: [
    putCase("two of eight", 60, 8, 2),
    putCase("indices repeat", 9, 3, 17),
    putCase("one of one", 1, 1, 1),
    putCase("many rows", 5000, 7, 3),
    putCase("rows of no entries", 4, 0, 2),
    putCase("no indices", 4, 5, 0),
    putCase("no rows", 0, 5, 2),
  ],
};

function putCase(about: string, T: number, columns: number, K: number): Case<TakeAlongGradientParams> {
  return {
    about,
    inputs: [
      { type: i32(T, K), fill: { kind: "integers", low: columns > 1 ? -1 : 0, below: Math.max(1, columns) } },
      { type: f32(T, K), fill: { kind: "normal" } },
    ],
    params: { columns },
  };
}
