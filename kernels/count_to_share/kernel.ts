// An adaptive threshold: how many of a group's entries, best first, hold a given share of the group's score (the expert
// side of LocMoE+). Sums are taken in f32 in order of rank, in the reference too: a count has to match exactly.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { grid } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Three loops over a group's entries stay below the 65,535 trips after which lavapipe ends loops without a word. */
const MOST_ON_SOFTWARE = 16384;

/** What share of which groups' score is wanted. */
export interface CountToShareParams {
  /** Keys run from 0 to `groups` - 1. */
  readonly groups: number;
  /** Tokens counted together: tokens s x scope to (s + 1) x scope - 1; the last scope may be shorter. */
  readonly scope: number;
  /** Above 0, at most 1. */
  readonly share: number;
}

const MOST_GROUPS = 65536;

function bind(
  inputs: readonly ArrayType[],
  { groups, scope, share }: CountToShareParams,
): { T: number; K: number; tokens: number } {
  const { T, K } = match("count_to_share", inputs, ["i32 TK", "i32 TK", "f32 TK"]);
  if (!Number.isInteger(groups) || groups < 1 || groups > MOST_GROUPS) {
    throw new RangeError(
      `Cannot run count_to_share: groups is ${groups}, it must be a whole number from 1 to ${MOST_GROUPS}`,
    );
  }
  if (!Number.isInteger(scope) || scope < 1) {
    throw new RangeError(`Cannot run count_to_share: scope is ${scope}, it must be a whole number from 1`);
  }
  if (!(share > 0 && share <= 1)) {
    throw new RangeError(`Cannot run count_to_share: share is ${share}, it must be above 0 and at most 1`);
  }
  const tokens = Math.min(scope, T);
  return { T, K, tokens };
}

/** Least m whose first m scores, less the lowest where that is negative, sum to `share` of all of them. */
function countOf(scores: readonly number[], share: number): number {
  const finite = scores.map((score) => Number.isNaN(score) ? 0 : score);
  const least = finite.reduce((low, score) => Math.min(low, score), 0);
  const shifted = finite.map((score) => Math.fround(score - least));
  const total = shifted.reduce((sum, score) => Math.fround(sum + score), 0);
  if (total === 0) return Math.ceil(Math.fround(share * scores.length));
  const wanted = Math.fround(share * total);
  let sum = 0;
  return shifted.findIndex((score) => (sum = Math.fround(sum + score)) >= wanted) + 1;
}

let cases: Case<CountToShareParams>[] | undefined;

export const countToShare: Kernel<CountToShareParams> = {
  name: "count_to_share",
  about:
    "For each entry, how many of its group's entries in its scope, by rank, hold `share` of the group's score (key -1: 0).",
  outputs(inputs, params) {
    const { T, K } = bind(inputs, params);
    return [i32(T, K)];
  },
  reference([key, rank, score], [count], types, params) {
    const { T, K } = bind(types, params);
    const share = Math.fround(params.share);
    const inGroup = (entry: number) => key[entry] >= 0 && key[entry] < params.groups;
    for (let start = 0; start < T; start += params.scope) {
      const [first, last] = [start * K, Math.min(start + params.scope, T) * K];
      const sizes = new Int32Array(params.groups);
      for (let entry = first; entry < last; entry++) if (inGroup(entry)) sizes[key[entry]]++;
      const groups = Array.from(sizes, (size) => new Array<number>(size).fill(0));
      for (let entry = first; entry < last; entry++) {
        if (inGroup(entry) && rank[entry] >= 0 && rank[entry] < sizes[key[entry]]) {
          groups[key[entry]][rank[entry]] = Math.fround(score[entry]);
        }
      }
      const counts = groups.map((scores) => countOf(scores, share));
      for (let entry = first; entry < last; entry++) count[entry] = inGroup(entry) ? counts[key[entry]] : 0;
    }
  },
  wasm: "countToShare",
  cpu(inputs, params) {
    const { T, K, tokens } = bind(inputs, params);
    return {
      units: Math.ceil(T / params.scope),
      grain: Math.max(1, Math.floor(8192 / (tokens * K + params.groups))),
      integers: [T, K, params.groups, tokens],
      floats: [params.share],
      // Sizes and offsets of groups, and scores by group.
      scratchBytes: 8 * params.groups + 4 * tokens * K,
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { T, K, tokens } = bind(inputs, params);
    if (facts.software && tokens * K > MOST_ON_SOFTWARE) {
      throw new RangeError(
        `Cannot run count_to_share: a scope has ${tokens * K} entries, at most ${MOST_ON_SOFTWARE} can be ` +
          "counted on a GPU that is simulated on the CPU",
      );
    }
    const scopes = T * K === 0 ? 0 : Math.ceil(T / tokens);
    return {
      scratch: [f32(T, K), i32(scopes * (params.groups + 1)), i32(scopes * params.groups)],
      passes: [{
        program,
        writes: [3, 4, 5, 6],
        integers: [T, K, params.groups, tokens, scopes],
        floats: [params.share],
        workgroups: grid(scopes, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, K } = bind(inputs, params);
    return { flop: 3 * T * K, bytes: bytesOf(...inputs, i32(T, K)) };
  },
  rounding: () => 0,
  /** Made when first asked for: ranking them takes 10 ms, which no start of a program should. */
  get cases() {
    return cases ??= [
      shareCase("one scope", 40, 2, { groups: 4, scope: 40, share: 0.8 }),
      shareCase("several scopes, the last shorter", 50, 3, { groups: 5, scope: 16, share: 0.6 }),
      shareCase("everything wanted", 30, 2, { groups: 3, scope: 30, share: 1 }),
      shareCase("a hair wanted", 30, 2, { groups: 3, scope: 30, share: 1e-6 }),
      shareCase("negative scores", 33, 1, { groups: 4, scope: 33, share: 0.7 }, (at) => Math.cos(at) - 0.5),
      shareCase("all equal", 24, 2, { groups: 3, scope: 24, share: 0.5 }, () => 0.25),
      shareCase("all zero", 24, 2, { groups: 3, scope: 24, share: 0.5 }, () => 0),
      shareCase("all equal below zero", 24, 2, { groups: 3, scope: 24, share: 0.3 }, () => -2),
      shareCase("some NaN", 24, 2, { groups: 3, scope: 24, share: 0.6 }, (at) => at % 5 === 0 ? NaN : at % 7),
      shareCase("more groups than entries", 6, 2, { groups: 100, scope: 6, share: 0.5 }),
      shareCase("many entries", 3000, 2, { groups: 16, scope: 3000, share: 0.9 }),
      shareCase("one entry", 1, 1, { groups: 1, scope: 1, share: 0.5 }),
      shareCase("no tokens", 0, 2, { groups: 3, scope: 4, share: 0.5 }),
    ];
  },
};

/** Keys, ranks by falling score as rank_in_group gives them, and scores. */
function shareCase(
  about: string,
  T: number,
  K: number,
  params: CountToShareParams,
  scoreAt: (at: number) => number = (at) => Math.abs(Math.sin(at * at + 1)),
): Case<CountToShareParams> {
  const entries = Array.from({ length: T * K }, (_, at) => ({
    at,
    scope: Math.floor(at / K / params.scope),
    key: (at * 7 + Math.floor(at / 3)) % (params.groups + 1) - 1,
    score: Math.fround(scoreAt(at)),
  }));
  const rank = new Array<number>(T * K).fill(-1);
  const next = new Map<string, number>();
  const order = entries.toSorted((a, b) =>
    Number(Number.isNaN(a.score)) - Number(Number.isNaN(b.score)) || b.score - a.score || a.at - b.at
  );
  for (const { at, scope, key } of order) {
    if (key < 0) continue;
    const group = `${scope} ${key}`;
    rank[at] = next.get(group) ?? 0;
    next.set(group, rank[at] + 1);
  }
  const values = (type: ArrayType, list: number[]) => ({
    type,
    fill: { kind: "values", values: list } as const,
  });
  return {
    about,
    inputs: [
      values(i32(T, K), entries.map(({ key }) => key)),
      values(i32(T, K), rank),
      values(f32(T, K), entries.map(({ score }) => score)),
    ],
    params,
  };
}
