// The balance loss's core: how far mean probabilities go along with shares of tokens, scope by scope. Means leave padding
// out; a scope of padding alone gives 0.
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
import { checkTrips, grid } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };

const ROWS_A_BLOCK = 256;

/** What is averaged, and a factor. */
export interface ShareLossParams {
  /** Tokens of one scope, which divides T. */
  readonly scope: number;
  readonly scale: number;
  /** Where input 1 names groups, i32 [T, K]: how many of a token's K count. */
  readonly choices?: number;
}

interface Bound {
  readonly T: number;
  readonly E: number;
  readonly S: number;
  /** Groups named for a token; 0 where shares are given. */
  readonly K: number;
}

function bind(inputs: readonly ArrayType[], { scope, choices }: ShareLossParams): Bound {
  if (inputs.length !== 2 && inputs.length !== 3) {
    throw new TypeError(`Cannot run share_loss: it takes 2 or 3 inputs, not ${inputs.length}`);
  }
  const patterns = ["f32 TE", choices === undefined ? "f32 TE" : "i32 TK", "f32 T"];
  const { T, E, K = 0 } = match("share_loss", inputs, patterns.slice(0, inputs.length));
  if (choices !== undefined && (!Number.isInteger(choices) || choices < 1 || choices > K)) {
    throw new RangeError(
      `Cannot run share_loss: choices is ${choices}, it must be a whole number from 1 to ${K}`,
    );
  }
  if (!Number.isInteger(scope) || scope < 1 || T % scope !== 0) {
    throw new RangeError(
      `Cannot run share_loss: scope is ${scope}, it must be a whole number from 1 that divides ${T} tokens`,
    );
  }
  return { T, E, S: T / scope, K };
}

export const shareLoss: Kernel<ShareLossParams> = {
  name: "share_loss",
  about:
    "scale sum_e f_e P_e for each scope, f and P means over real tokens of what chose e and of its probability; and its slope.",
  outputs(inputs, params) {
    const { S, E } = bind(inputs, params);
    return [f32(S), f32(S, E)];
  },
  reference([probability, chosen, real], [loss, slope], types, params) {
    const { E, S, K } = bind(types, params);
    const { scope, scale, choices } = params;
    const chosenAt = (t: number, e: number) => {
      if (choices === undefined) return chosen[t * E + e];
      let count = 0;
      for (let k = 0; k < choices; k++) if (chosen[t * K + k] === e) count++;
      return count;
    };
    for (let s = 0; s < S; s++) {
      let count = 0;
      for (let t = s * scope; t < (s + 1) * scope; t++) count += real ? real[t] : 1;
      const tokens = Math.max(1, count);
      for (let e = 0; e < E; e++) {
        let [chosenSum, probabilitySum] = [0, 0];
        for (let t = s * scope; t < (s + 1) * scope; t++) {
          chosenSum += chosenAt(t, e) * (real ? real[t] : 1);
          probabilitySum += probability[t * E + e] * (real ? real[t] : 1);
        }
        slope[s * E + e] = scale * chosenSum / tokens / tokens;
        loss[s] += slope[s * E + e] * probabilitySum;
      }
    }
  },
  wasm: "shareLoss",
  cpu(inputs, params) {
    const { E, S, K } = bind(inputs, params);
    const real = Number(inputs.length === 3);
    return {
      units: S,
      grain: Math.max(1, Math.floor(16384 / Math.max(1, params.scope * E))),
      // The program finds its whole numbers behind room for five addresses.
      integers: [...(real ? [] : [0]), params.scope, E, real, K, params.choices ?? 0],
      floats: [params.scale],
    };
  },
  wgsl: [lanes + program],
  gpu(inputs, params, facts) {
    const { E, S, K } = bind(inputs, params);
    const { choices = 0 } = params;
    const real = inputs.length === 3;
    const blocks = Math.ceil(params.scope / ROWS_A_BLOCK);
    const trips = 32 * (choices + 2) + (2 * Math.ceil(E / 64) + 1) * blocks + Math.ceil(E / 64) + 6;
    checkTrips("share_loss", `scopes of ${params.scope} tokens for ${E} groups`, trips, facts);
    const strips = Math.ceil((E + 1) / 32);
    const scratch = inputs.length + 2;
    const common = {
      program: lanes + program,
      constants: { MASKED: Number(real), NAMED: Number(choices > 0) },
      integers: [params.scope, E, blocks, S, K, choices],
      floats: [params.scale],
    };
    const reads = [0, 1, real ? 2 : 0];
    return {
      scratch: [f32(S, blocks, 2, E + 1)],
      passes: [
        { ...common, entry: "sums", reads, writes: [scratch], workgroups: grid(S * blocks * strips, facts) },
        {
          ...common,
          entry: "join",
          reads,
          writes: [scratch, inputs.length, inputs.length + 1],
          workgroups: grid(S, facts),
        },
      ],
    };
  },
  cost(inputs, params) {
    const { T, E, S } = bind(inputs, params);
    return { flop: 4 * T * E, bytes: bytesOf(...inputs, f32(S), f32(S, E)) };
  },
  // Two sums over tokens, one over groups, and what makes means of them.
  rounding(inputs, params) {
    const { E } = bind(inputs, params);
    return 2 * params.scope + E + 6;
  },
  gpuRounding: (inputs, params) => shareLoss.rounding(inputs, params) + 2 * QUOTIENT,
  cases: [
    lossCase("one scope", 50, 8, 50),
    lossCase("several scopes, odd size", 60, 7, 15),
    lossCase("padding", 60, 8, 60, [1, 1, 0]),
    lossCase("several scopes with padding, one of nothing else", 40, 9, 10, [
      ...[1, 1, 1, 0, 1, 1, 0, 0, 0, 1],
      ...new Array<number>(10).fill(0),
      ...new Array<number>(20).fill(1),
    ]),
    lossCase("many tokens and groups", 1100, 70, 550),
    choiceCase("first choices", 50, 8, 50, 3, 1),
    choiceCase("all choices, padding", 60, 7, 30, 2, 2, [1, 1, 0]),
    choiceCase("one choice, many tokens", 1100, 70, 550, 1, 1),
    lossCase("one token, one group", 1, 1, 1),
    lossCase("no groups", 4, 0, 2),
    lossCase("no tokens", 0, 3, 5),
  ],
};

function lossCase(
  about: string,
  T: number,
  E: number,
  scope: number,
  real?: number[],
): Case<ShareLossParams> {
  const share: CaseInput = { type: f32(T, E), fill: { kind: "uniform", low: 0, high: 1 } };
  return {
    about,
    inputs: [
      share,
      share,
      ...(real ? [{ type: f32(T), fill: { kind: "values", values: real } } as const] : []),
    ],
    params: { scope, scale: 3 },
  };
}

function choiceCase(
  about: string,
  T: number,
  E: number,
  scope: number,
  K: number,
  choices: number,
  real?: number[],
): Case<ShareLossParams> {
  const { inputs: [probability, , ...mask], params } = lossCase(about, T, E, scope, real);
  const wanted: CaseInput = { type: i32(T, K), fill: { kind: "integers", low: -1, below: E } };
  return { about, inputs: [probability, wanted, ...mask], params: { ...params, choices } };
}
