// Every token to one expert, all experts equally many, the sum of scores as large as can be: the assignment of BASE layers
// and of Gumbel-Matching. Ties have one answer, so that every backend gives the same one.
import { type ArrayType, bytesOf, type Case, f32, type Fill, i32, type Kernel, match } from "../kernel.ts";
import { scoreUnits } from "../parts/score_units.ts";

/** Tokens s x scope to (s + 1) x scope - 1 are balanced among themselves; the last scope may be shorter. */
export interface BalancedAssignmentParams {
  readonly scope: number;
}

function bind(inputs: readonly ArrayType[], { scope }: BalancedAssignmentParams) {
  if (inputs.length !== 1 && inputs.length !== 2) {
    throw new TypeError(`Cannot run balanced_assignment: it takes 1 or 2 inputs, not ${inputs.length}`);
  }
  const hasReal = inputs.length === 2;
  const { T, E } = match("balanced_assignment", inputs, hasReal ? ["f32 TE", "f32 T"] : ["f32 TE"]);
  if (E < 1) throw new RangeError("Cannot run balanced_assignment: there are no experts");
  if (!Number.isInteger(scope) || scope < 1) {
    throw new RangeError(
      `Cannot run balanced_assignment: scope is ${scope}, it must be a whole number from 1`,
    );
  }
  const tokens = Math.min(scope, T);
  const bytes = 12 * (E + 1) ** 2 + 64 * (E + 8) + 4 * (3 * tokens + E);
  return { T, E, hasReal, bytes };
}

export const balancedAssignment: Kernel<BalancedAssignmentParams> = {
  name: "balanced_assignment",
  about:
    "The expert of each token in the assignment of highest total score with counts that differ by at most one; -1 where real is 0.",
  outputs(inputs, params) {
    return [i32(bind(inputs, params).T)];
  },
  reference([score, real], [expert], types, params) {
    const { T, E, hasReal } = bind(types, params);
    expert.fill(-1);
    for (let from = 0; from < T; from += params.scope) {
      const to = Math.min(T, from + params.scope);
      const held = (t: number) => !hasReal || real[t] !== 0;
      const units = scoreUnits(score, { from, to, E }, held).score;
      const rows = Array.from({ length: to - from }, (_, t) => t).filter((t) => held(from + t));
      const found = assign(rows.map((t) => units.subarray(t * E, (t + 1) * E)), E);
      rows.forEach((t, at) => expert[from + t] = found[at]);
    }
  },
  wasm: "balancedAssignment",
  cpu(inputs, params) {
    const { T, E, hasReal, bytes } = bind(inputs, params);
    return {
      units: Math.ceil(T / params.scope),
      grain: 1,
      // Word 6 tells whether there is a mask.
      integers: hasReal ? [T, E, params.scope, 1] : [T, E, params.scope, 0, 0],
      scratchBytes: bytes,
    };
  },
  cost(inputs, params) {
    const { T, E } = bind(inputs, params);
    return { flop: 40 * T * E, bytes: bytesOf(...inputs, i32(T)) };
  },
  rounding: () => 0,
  cases: [
    assignmentCase("8 tokens a piece", 32, 4, 32),
    assignmentCase("64 experts", 256, 64, 256),
    assignmentCase("one token a piece", 9, 9, 9),
    assignmentCase("tokens that do not divide by experts", 50, 7, 50),
    assignmentCase("fewer tokens than experts", 5, 8, 5),
    assignmentCase("several scopes, the last shorter", 50, 3, 16),
    assignmentCase("one expert", 6, 1, 6),
    assignmentCase("one token", 1, 5, 1),
    assignmentCase("all want one expert", 40, 5, 40, {
      kind: "values",
      values: [9, 0.1, 0.3, 0.2, -4, 8.5, 0.7],
    }),
    assignmentCase("padding", 30, 4, 15, { kind: "normal" }, [1, 1, 0, 1, 1, 1, 0]),
    assignmentCase("nothing but padding", 6, 2, 6, { kind: "normal" }, [0]),
    assignmentCase("all equal", 24, 5, 24, { kind: "values", values: [0.5] }),
    assignmentCase("many ties", 45, 6, 45, { kind: "integers", low: 0, below: 3 }),
    assignmentCase("ties that meet in the pool", 31, 6, 31, { kind: "integers", low: 0, below: 2 }),
    assignmentCase("ties and padding", 40, 4, 20, { kind: "integers", low: -1, below: 2 }, [
      1,
      0,
      1,
      1,
      1,
      1,
    ]),
    assignmentCase("huge scores", 24, 4, 24, { kind: "normal", scale: 1e6 }),
    assignmentCase("tiny scores", 24, 4, 24, { kind: "normal", scale: 1e-30 }),
    assignmentCase("NaN and infinities", 30, 5, 30, {
      kind: "values",
      values: [NaN, -Infinity, 1, NaN, 2, Infinity, -1, 0.5, -0, 0, 3e38, -3e38],
    }),
    assignmentCase("no tokens", 0, 4, 4),
  ],
};

/** A graph's node for blanks: what experts that go one short hold. */
interface Graph {
  /** Most that one of a's tokens gains by moving to b, and which token; [V, V]. */
  readonly gain: number[][];
  readonly token: number[][];
}

/**
 * The definition, plainly: tokens come one by one, each with the exchange of highest total gain (Bellman and Ford over
 * a graph built anew). Scores are whole numbers, so every sum is exact.
 */
function assign(score: readonly Float64Array[], E: number): number[] {
  const count = score.length;
  if (count === 0) return [];
  const C = Math.ceil(count / E);
  // Experts 0.. hold the blanks at first; blanks move for nothing.
  const blanks = C * E - count;
  const blank = Array.from({ length: E }, (_, e) => e < blanks);
  const owner = new Array<number>(count).fill(-1);
  const graph = (): Graph => {
    const gain = Array.from({ length: E + 1 }, () => new Array<number>(E + 1).fill(-Infinity));
    const token = Array.from({ length: E + 1 }, () => new Array<number>(E + 1).fill(-1));
    owner.forEach((a, t) => {
      for (let b = 0; a >= 0 && b < E; b++) {
        if (score[t][b] - score[t][a] <= gain[a][b]) continue;
        gain[a][b] = score[t][b] - score[t][a];
        token[a][b] = t;
      }
    });
    for (let e = 0; e < E; e++) {
      if (blank[e]) gain[e][E] = 0;
      else gain[E][e] = 0;
    }
    return { gain, token };
  };
  const load = (e: number) => owner.filter((a) => a === e).length + Number(blank[e]);
  const pass = (a: number, b: number, token: number) => {
    if (a === E) blank[b] = true;
    else if (b === E) blank[a] = false;
    else owner[token] = b;
  };
  for (let t = 0; t < count; t++) {
    const { gain, token } = graph();
    const most = [...score[t], -Infinity];
    const before = most.map(() => -1);
    for (let round = 0; round <= E; round++) {
      for (let a = 0; a <= E; a++) {
        for (let b = 0; b <= E; b++) {
          if (b === a || !(most[a] + gain[a][b] > most[b])) continue;
          most[b] = most[a] + gain[a][b];
          before[b] = a;
        }
      }
    }
    let b = -1;
    for (let e = 0; e < E; e++) if (load(e) < C && (b < 0 || most[e] > most[b])) b = e;
    for (; before[b] >= 0; b = before[b]) pass(before[b], b, token[before[b]][b]);
    owner[t] = b;
  }
  settleTies(score, owner, blank, E, longestFrom(graph().gain));
  return owner;
}

/** Longest paths that end at node 0: prices at which every token of the assignment is where it gains most. */
function longestFrom(gain: readonly (readonly number[])[]): number[] {
  const price = gain.map((_, v) => v === 0 ? 0 : -Infinity);
  for (let round = 0; round < gain.length; round++) {
    gain.forEach((row, a) => row.forEach((edge, b) => price[b] = Math.max(price[b], price[a] + edge)));
  }
  return price;
}

/** Exchanges that lose nothing, so that the list of experts comes first among the best. */
function settleTies(
  score: readonly Float64Array[],
  owner: number[],
  blank: boolean[],
  E: number,
  price: readonly number[],
): void {
  const tight = (t: number, e: number) => score[t][e] - price[e] === score[t][owner[t]] - price[owner[t]];
  for (let t = 0; t < owner.length; t++) {
    const a = owner[t];
    const later = owner.map((_, other) => other).slice(t + 1);
    const between = (x: number, y: number): number | null => {
      if (x === E) return !blank[y] && price[y] === price[E] ? -1 : null;
      if (y === E) return blank[x] && price[x] === price[E] ? -1 : null;
      return later.find((other) => owner[other] === x && tight(other, y)) ?? null;
    };
    const next = new Map<number, number>([[a, a]]);
    for (const y of next.keys()) {
      for (let x = 0; x <= E; x++) if (!next.has(x) && between(x, y) !== null) next.set(x, y);
    }
    for (let e = 0; e < a; e++) {
      if (!tight(t, e) || !next.has(e)) continue;
      for (let x = e; x !== a; x = next.get(x)!) {
        const y = next.get(x)!;
        const token = between(x, y)!;
        if (x === E) blank[y] = true;
        else if (y === E) blank[x] = false;
        else owner[token] = y;
      }
      owner[t] = e;
      break;
    }
  }
}

function assignmentCase(
  about: string,
  T: number,
  E: number,
  scope: number,
  score: Fill = { kind: "normal" },
  real?: readonly number[],
): Case<BalancedAssignmentParams> {
  const inputs = [{ type: f32(T, E), fill: score }];
  const mask = { type: f32(T), fill: { kind: "values", values: real ?? [1] } as const };
  return { about, inputs: real ? [...inputs, mask] : inputs, params: { scope } };
}
