// The cut that a capacity makes: assignments ranked at or behind what their group keeps lose their group.
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
import { grainFor } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** How many are kept. */
export interface KeepRankedParams {
  /** At most this many of a group; absent = input 2 says so for each scope, f32 [S]. */
  readonly most?: number;
  /** `most` of a scope of other sizes: what a model that takes any number of tokens looks up; programs do not ask it. */
  readonly mostOf?: (tokens: number) => number;
  /** Tokens of a scope. */
  readonly scope: number;
  /**
   * True: of those, ranks below the larger of two more inputs, a count for each assignment, i32 [T, K], and one number
   * for all, f32 [1]; a NaN counts for nothing.
   */
  readonly counted?: boolean;
}

function bind(
  inputs: readonly ArrayType[],
  { most, scope, counted }: KeepRankedParams,
): { T: number; K: number; scope: number } {
  const { T, K, S, L = 1 } = match("keep_ranked", inputs, [
    "i32 TK",
    "i32 TK",
    ...(most === undefined ? ["f32 S"] : []),
    ...(counted ? ["i32 TK", "f32 L"] : []),
  ]);
  if (!Number.isInteger(scope) || scope < 1) {
    throw new RangeError(`Cannot run keep_ranked: scope is ${scope}, it must be a whole number from 1`);
  }
  if (most !== undefined && !(most >= 0)) {
    throw new RangeError(`Cannot run keep_ranked: most is ${most}, it must be 0 or more`);
  }
  if (most === undefined && S < Math.ceil(T / scope)) {
    throw new RangeError(
      `Cannot run keep_ranked: ${S} capacities are too few for ${T} tokens in scopes of ${scope}`,
    );
  }
  if (L !== 1) throw new RangeError(`Cannot run keep_ranked: the least must be one number, not ${L}`);
  return { T, K, scope };
}

export const keepRanked: Kernel<KeepRankedParams> = {
  name: "keep_ranked",
  about: "key where its rank is below what its scope keeps, else -1.",
  outputs(inputs, params) {
    const { T, K } = bind(inputs, params);
    return [i32(T, K)];
  },
  reference(inputs, [y], types, params) {
    const { T, K, scope } = bind(types, params);
    const [key, rank] = inputs;
    const { most } = params;
    const [count, least] = params.counted ? inputs.slice(-2) : [];
    for (let t = 0; t < T; t++) {
      const capacity = most ?? inputs[2][Math.floor(t / scope)];
      for (let i = t * K; i < (t + 1) * K; i++) {
        // Capacities are whole numbers in f32; half a step below one, rounding cannot matter.
        const kept = rank[i] <= capacity - 0.5 && (!count || rank[i] < count[i] || rank[i] < least[0]);
        y[i] = kept ? key[i] : -1;
      }
    }
  },
  wasm: "keepRanked",
  cpu(inputs, params) {
    const { T, K, scope } = bind(inputs, params);
    return {
      units: Math.ceil(T * K / 1024),
      grain: grainFor(1500),
      integers: [
        // The program finds its whole numbers behind room for six addresses.
        ...new Array<number>(5 - inputs.length).fill(0),
        ...[T * K, K, scope, Number(params.most === undefined), Number(params.counted ?? false)],
      ],
      floats: [params.most ?? 0],
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { T, K, scope } = bind(inputs, params);
    const last = inputs.length - 1;
    return {
      passes: [{
        program,
        // Those left out stand where another array does.
        reads: [0, 1, params.most === undefined ? 2 : 1, ...(params.counted ? [last - 1, last] : [1, 1])],
        constants: { PER_SCOPE: Number(params.most === undefined), COUNTED: Number(params.counted ?? false) },
        integers: [T * K, scope * K],
        floats: [params.most ?? 0],
        workgroups: forEach(T * K, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, K } = bind(inputs, params);
    return { flop: T * K, bytes: bytesOf(...inputs, i32(T, K)) };
  },
  rounding: () => 0,
  cases: [
    keepCase("one capacity", 50, 2, { scope: 50, most: 7 }),
    keepCase("a capacity for each scope", 50, 3, { scope: 16 }),
    keepCase("at most, and up to a count", 50, 1, { scope: 50, most: 9, counted: true }),
    keepCase("a capacity for each scope, up to a count", 50, 3, { scope: 20, counted: true }),
    keepCase("a least that is NaN", 50, 1, { scope: 50, most: 9, counted: true }, NaN),
    keepCase("all kept", 9, 1, { scope: 9, most: 100 }),
    keepCase("none kept", 9, 1, { scope: 9, most: 0 }),
    keepCase("one element", 1, 1, { scope: 1, most: 1 }),
    keepCase("no tokens", 0, 2, { scope: 4, most: 3 }),
    keepCase("several blocks", 1500, 2, { scope: 700 }),
  ],
};

function keepCase(
  about: string,
  T: number,
  K: number,
  params: KeepRankedParams,
  least = 3.5,
): Case<KeepRankedParams> {
  const whole = (low: number, below: number): CaseInput => ({
    type: i32(T, K),
    fill: { kind: "integers", low, below },
  });
  const scopes = Math.ceil(T / params.scope);
  return {
    about,
    inputs: [
      whole(-1, 8),
      whole(-1, 20),
      ...(params.most === undefined
        ? [{ type: f32(scopes), fill: { kind: "values", values: [5, 0, 12, 1] } } as const]
        : []),
      ...(params.counted
        ? [whole(0, 20), { type: f32(1), fill: { kind: "values", values: [least] } } as const]
        : []),
    ],
    params,
  };
}
