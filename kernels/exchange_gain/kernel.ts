// What the other tokens of a scope win or lose in total when one token takes another expert than in the best balanced
// assignment and they make room for it as well as they can: the conditionals of Gumbel-Matching need no more than this.
//
// The token's move from a to e leaves one too many at e and one too few at a, which a longest path from e to a in the graph
// of experts mends. Such a path never leaves a, and the token itself is on edges out of a alone: so one closure of the whole
// graph serves every token of a, and no token has to be taken out of it first.
import { type ArrayType, bytesOf, type Case, f32, type Fill, i32, type Kernel, match } from "../kernel.ts";
import { scoreUnits } from "../parts/score_units.ts";
import { balancedAssignment } from "../balanced_assignment/kernel.ts";

/** Tokens that are balanced among themselves, as in `balanced_assignment`. */
export interface ExchangeGainParams {
  readonly scope: number;
}

const MOST_EXPERTS = 512;

function bind(inputs: readonly ArrayType[], { scope }: ExchangeGainParams): { T: number; E: number } {
  const { T, E } = match("exchange_gain", inputs, ["f32 TE", "i32 T"]);
  if (E < 1 || E > MOST_EXPERTS) {
    throw new RangeError(
      `Cannot run exchange_gain: there are ${E} experts, from 1 to ${MOST_EXPERTS} will do`,
    );
  }
  if (!Number.isInteger(scope) || scope < 1) {
    throw new RangeError(`Cannot run exchange_gain: scope is ${scope}, it must be a whole number from 1`);
  }
  return { T, E };
}

let cases: Case<ExchangeGainParams>[] | undefined;

export const exchangeGain: Kernel<ExchangeGainParams> = {
  name: "exchange_gain",
  about:
    "y[t, e]: best total score of the other tokens of the scope when token t is with e, less that when it is with expert[t], the best balanced assignment; 0 where expert is -1.",
  outputs(inputs, params) {
    const { T, E } = bind(inputs, params);
    return [f32(T, E)];
  },
  reference([score, expert], [gain], types, params) {
    const { T, E } = bind(types, params);
    for (let from = 0; from < T; from += params.scope) {
      const to = Math.min(T, from + params.scope);
      const units = scoreUnits(score, { from, to, E }, (t) => expert[t] >= 0);
      const count = new Array<number>(E).fill(0);
      const path = Array.from({ length: E + 1 }, () => new Array<number>(E + 1).fill(-Infinity));
      for (let t = from; t < to; t++) {
        const a = expert[t];
        if (a < 0) continue;
        count[a]++;
        const row = units.score.subarray((t - from) * E, (t - from + 1) * E);
        for (let b = 0; b < E; b++) path[a][b] = Math.max(path[a][b], row[b] - row[a]);
      }
      const held = count.reduce((sum, one) => sum + one, 0);
      for (let e = 0; e < E && held % E !== 0; e++) {
        if (count[e] === Math.floor(held / E)) path[e][E] = 0;
        else path[E][e] = 0;
      }
      for (let v = 0; v <= E; v++) path[v][v] = 0;
      for (let k = 0; k <= E; k++) {
        for (let a = 0; a <= E; a++) {
          for (let b = 0; b <= E; b++) path[a][b] = Math.max(path[a][b], path[a][k] + path[k][b]);
        }
      }
      for (let t = from; t < to; t++) {
        for (let e = 0; e < E && expert[t] >= 0; e++) gain[t * E + e] = path[e][expert[t]] / units.scale;
      }
    }
  },
  wasm: "exchangeGain",
  cpu(inputs, params) {
    const { T, E } = bind(inputs, params);
    const nodes = E + 2 - E % 2;
    return {
      units: Math.ceil(T / params.scope),
      grain: 1,
      integers: [T, E, params.scope],
      // Paths between nodes, counts, and a row of gains for each expert.
      scratchBytes: 8 * nodes * (nodes + 1) + 4 * E * E,
    };
  },
  cost(inputs, params) {
    const { T, E } = bind(inputs, params);
    const scopes = Math.ceil(T / params.scope);
    return { flop: 2 * T * E + 2 * scopes * E ** 3, bytes: bytesOf(...inputs, f32(T, E)) };
  },
  rounding: () => 1,
  /** Made when first asked for: their best assignments take a third of a second, which no start of a program should. */
  get cases() {
    return cases ??= [
      gainCase("8 tokens a piece", 32, 4, 32),
      gainCase("64 experts", 256, 64, 256),
      gainCase("one token a piece", 9, 9, 9),
      gainCase("tokens that do not divide by experts", 50, 7, 50),
      gainCase("fewer tokens than experts", 5, 8, 5),
      gainCase("several scopes, the last shorter", 50, 3, 16),
      gainCase("one expert", 6, 1, 6),
      gainCase("one token", 1, 5, 1),
      gainCase("ties", 45, 6, 45, { kind: "integers", low: 0, below: 3 }),
      gainCase("some left out", 20, 4, 20, { kind: "normal" }, [1, 0, 1, 1, 1]),
      gainCase("all left out", 6, 3, 6, { kind: "normal" }, [0]),
      gainCase("no tokens", 0, 4, 4),
    ];
  },
};

/** Scores with their own best assignment, which no fill could make. */
function gainCase(
  about: string,
  T: number,
  E: number,
  scope: number,
  fill: Fill = { kind: "normal" },
  real: readonly number[] = [1],
): Case<ExchangeGainParams> {
  const score = Float32Array.from({ length: T * E }, (_, at) => valueOf(fill, at));
  const mask = Float32Array.from({ length: T }, (_, t) => real[t % real.length]);
  const expert = new Int32Array(T);
  balancedAssignment.reference([score, mask], [expert], [f32(T, E), f32(T)], { scope });
  return {
    about,
    inputs: [
      { type: f32(T, E), fill: { kind: "values", values: score.length > 0 ? [...score] : [0] } },
      { type: i32(T), fill: { kind: "values", values: T > 0 ? [...expert] : [0] } },
    ],
    params: { scope },
  };
}

/** Numbers without a pattern: a multiple of the golden ratio, wrapped into the fill's range. */
function valueOf(fill: Fill, at: number): number {
  const part = (at + 1) * 0.6180339887498949 % 1;
  const other = (at + 1) ** 2 * 0.41421356237309515 % 1;
  return fill.kind === "integers"
    ? fill.low + Math.floor(part * (fill.below - fill.low))
    : 4 * (part * other - 0.5);
}
