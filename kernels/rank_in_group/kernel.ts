// Where each assignment stands among those that want the same expert in the same scope: what capacity compares with.
// Published systems differ in the order and the scope, so both are parameters here.
import { type ArrayType, bytesOf, type Case, f32, type Fill, i32, type Kernel, match } from "../kernel.ts";
import { checkTrips, grid } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import byPriority from "./gpu_priority.wgsl" with { type: "text" };
import order from "../parts/order.wgsl" with { type: "text" };
import stable from "../parts/stable.wgsl" with { type: "text" };

/** In what order assignments are ranked, and among which. */
export interface RankInGroupParams {
  /** Keys run from 0 to `groups` - 1. */
  readonly groups: number;
  /** Tokens ranked together: tokens s x scope to (s + 1) x scope - 1; the last scope may be shorter. */
  readonly scope: number;
  /** True: every token's first choice stands before any token's second. False: token by token. */
  readonly choiceMajor: boolean;
}

const MOST_GROUPS = 65536;
/** Trips of loops for 256 assignments: 64 to compare them with each other, and the loop around for going on. */
const TRIPS_A_ROUND = 66;

interface Bound {
  readonly T: number;
  readonly K: number;
  readonly tokens: number;
  readonly hasPriority: boolean;
}

function bind(inputs: readonly ArrayType[], { groups, scope }: RankInGroupParams): Bound {
  if (inputs.length !== 1 && inputs.length !== 2) {
    throw new TypeError(`Cannot run rank_in_group: it takes 1 or 2 inputs, not ${inputs.length}`);
  }
  const hasPriority = inputs.length === 2;
  const { T, K } = match("rank_in_group", inputs, hasPriority ? ["i32 TK", "f32 TK"] : ["i32 TK"]);
  if (!Number.isInteger(groups) || groups < 1 || groups > MOST_GROUPS) {
    throw new RangeError(
      `Cannot run rank_in_group: groups is ${groups}, it must be a whole number from 1 to ${MOST_GROUPS}`,
    );
  }
  if (!Number.isInteger(scope) || scope < 1) {
    throw new RangeError(`Cannot run rank_in_group: scope is ${scope}, it must be a whole number from 1`);
  }
  const tokens = Math.min(scope, T);
  return { T, K, tokens, hasPriority };
}

export const rankInGroup: Kernel<RankInGroupParams> = {
  name: "rank_in_group",
  about:
    "Rank of each assignment among those with its key in its scope, by priority or by place; key -1 has rank -1.",
  outputs(inputs, params) {
    const { T, K } = bind(inputs, params);
    return [i32(T, K)];
  },
  reference([key, priority], [rank], types, params) {
    const { T, K, hasPriority } = bind(types, params);
    rank.fill(-1);
    for (let start = 0; start < T; start += params.scope) {
      const tokens = Math.min(params.scope, T - start);
      const entries = Array.from({ length: tokens * K }, (_, i) => {
        const token = params.choiceMajor ? i % tokens : Math.floor(i / K);
        const choice = params.choiceMajor ? Math.floor(i / tokens) : i % K;
        return (start + token) * K + choice;
      });
      if (hasPriority) entries.sort((a, b) => descending(priority[a], priority[b]));
      const next = new Int32Array(params.groups);
      for (const entry of entries) {
        if (key[entry] >= 0 && key[entry] < params.groups) rank[entry] = next[key[entry]]++;
      }
    }
  },
  wasm: "rankInGroup",
  cpu(inputs, params) {
    const { T, K, tokens, hasPriority } = bind(inputs, params);
    const last = hasPriority ? [1, Number(params.choiceMajor)] : [Number(params.choiceMajor), 0];
    const each = tokens * K * (hasPriority ? 8 : 1) + params.groups / 16;
    return {
      units: Math.ceil(T / params.scope),
      grain: Math.max(1, Math.floor(8192 / each)),
      integers: [T, K, params.groups, tokens, ...last],
      // Counters, and pairs of key and entry, twice, with counts of a byte's values.
      scratchBytes: 4 * params.groups + (hasPriority ? 16 * tokens * K + 1024 : 0),
    };
  },
  wgsl: [stable + program, order + byPriority],
  gpu(inputs, params, facts) {
    const { T, K, tokens, hasPriority } = bind(inputs, params);
    const { groups, choiceMajor } = params;
    const scopes = T * K === 0 ? 0 : Math.ceil(T / tokens);
    const constants = { CHOICE_MAJOR: Number(choiceMajor) };
    const integers = [T, K, groups, tokens, scopes];
    const trips = TRIPS_A_ROUND * Math.ceil(tokens * K / 256) + Math.ceil(groups / 256) + 2;
    checkTrips("rank_in_group", `scopes of ${tokens * K} assignments`, trips, facts);
    if (hasPriority) {
      const blocks = Math.ceil(tokens * K / 256);
      const workgroups = grid(scopes * blocks, facts);
      return {
        passes: [{ program: order + byPriority, constants, integers: [...integers, blocks], workgroups }],
      };
    }
    return {
      scratch: [i32(scopes * groups)],
      passes: [{
        program: stable + program,
        writes: [1, 2],
        constants,
        integers,
        workgroups: grid(scopes, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, K } = bind(inputs, params);
    return { flop: 0, bytes: bytesOf(...inputs, i32(T, K)) };
  },
  rounding() {
    return 0;
  },
  cases: [false, true].flatMap((choiceMajor) => [
    rankCase("one scope", 50, 2, { groups: 4, scope: 50, choiceMajor }),
    rankCase("several scopes, the last shorter", 50, 3, { groups: 5, scope: 16, choiceMajor }),
    rankCase("a scope wider than the batch", 7, 2, { groups: 3, scope: 1000, choiceMajor }),
    rankCase("64 groups", 300, 2, { groups: 64, scope: 128, choiceMajor }),
    rankCase("one group, one token a scope", 9, 4, { groups: 1, scope: 1, choiceMajor }),
    rankCase("by priority", 50, 2, { groups: 4, scope: 50, choiceMajor }, { kind: "normal" }),
    rankCase("by priority, several scopes", 200, 3, { groups: 5, scope: 48, choiceMajor }, {
      kind: "uniform",
    }),
    rankCase("by priority, ties", 70, 2, { groups: 3, scope: 33, choiceMajor }, {
      kind: "values",
      values: [0, 1, -0, 0.5, 1, 1, 0],
    }),
    rankCase("by priority, NaN and infinities", 40, 2, { groups: 3, scope: 40, choiceMajor }, {
      kind: "values",
      values: [NaN, -Infinity, 1, NaN, Infinity, -1, 0.5, -0, 0],
    }),
    rankCase("one element", 1, 1, { groups: 1, scope: 1, choiceMajor }),
    rankCase("no tokens", 0, 2, { groups: 3, scope: 4, choiceMajor }),
    rankCase("no choices", 5, 0, { groups: 3, scope: 4, choiceMajor }, { kind: "normal" }),
  ]),
};

/** Comparison that puts the highest first and NaN last; equal numbers keep their order. */
function descending(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a > b ? -1 : 1;
}

function rankCase(
  about: string,
  T: number,
  K: number,
  params: RankInGroupParams,
  priority?: Fill,
): Case<RankInGroupParams> {
  const low = T > 1 ? -1 : 0;
  const key = { type: i32(T, K), fill: { kind: "integers", low, below: params.groups } as const };
  return {
    about: params.choiceMajor ? `${about}, choice by choice` : about,
    inputs: priority ? [key, { type: f32(T, K), fill: priority }] : [key],
    params,
  };
}
