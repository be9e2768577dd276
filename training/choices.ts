// How decidedly a model's mixtures choose over held-out examples: margins, near ties, which experts share tokens, what
// passes from one mixture to the next, and who changed expert since the last look. Counted on the host, batch by batch,
// from what the model's own pass returned: a token costs one look at its probabilities and at the experts that took it.
import type { Backend } from "../kernels/kernel.ts";
import type { LayerOutput, Model, ModelOutput } from "../models/model.ts";
import { joined } from "../tensor/joined.ts";
import {
  type ChoiceFlow,
  type LayerChoices,
  marginBins,
  nearTie,
  type PointChoices,
} from "./choice_record.ts";
import { type OutputSums, outputSums } from "./promoted.ts";
import { mutualInformation } from "./specialisation.ts";

/** Expert that weighs most on each token, -1 = none, by layer: all examples of an evaluation, one after another. */
export type FirstExperts = ReadonlyMap<number, Int32Array>;

/** Watches one evaluation. */
export interface ChoiceWatch {
  /** Counts one batch. */
  add(output: Pick<ModelOutput, "layers">): Promise<void>;
  /** Expert that weighs most on each token so far. */
  first(): FirstExperts;
  /** What a point of training keeps; `before` is that of the point before, and may lack layers. */
  point(before: FirstExperts): PointChoices[];
  /** What the end of a run keeps. */
  end(): Promise<LayerChoices[]>;
}

/** A model whose output is words, and what they are called. */
export interface Words {
  readonly model: Model;
  readonly backend: Backend;
  /** A row of the vocabulary in letters; null where it has no name. */
  nameOf(row: number): string | null;
}

interface LayerCounts {
  readonly layer: number;
  readonly E: number;
  shared: number;
  readonly first: Int32Array[];
  readonly margins: number[];
  hasMargins: boolean;
  nearTies: number;
  tokens: number;
  readonly together: number[][];
  readonly outputs: OutputSums | null;
}

/** Starts counting; with `words`, of a model whose output is words, the end says which words each expert promotes. */
export function watchChoices(words?: Words): ChoiceWatch {
  const counts = new Map<number, LayerCounts>();
  const of = ({ layer, E, y_TD }: LayerOutput): LayerCounts => {
    const found = counts.get(layer) ??
      countsOf(layer, E, words ? outputSums(E, y_TD.shape[1]) : null);
    counts.set(layer, found);
    return found;
  };
  return {
    async add({ layers }) {
      for (const layer of layers) await count(of(layer), layer);
    },
    first: () => new Map([...counts].map(([layer, { first }]) => [layer, joined(Int32Array, first)])),
    point: (before) => [...counts.values()].map((each) => pointOf(each, before.get(each.layer))),
    end: async () => {
      const all = [...counts.values()];
      const promoted: (string[][] | null)[] = [];
      for (const { outputs } of all) promoted.push(words && outputs ? await named(outputs, words) : null);
      return all.map((each, at): LayerChoices => ({
        layer: each.layer,
        shared: each.shared,
        margins: each.hasMargins ? each.margins : null,
        together: each.together.some((row) => row.some((pairs) => pairs > 0)) ? each.together : null,
        flow: at + 1 < all.length ? flowOf(each, all[at + 1]) : null,
        ...(promoted[at] ? { promoted: promoted[at] } : {}),
      }));
    },
  };
}

async function named(outputs: OutputSums, { model, backend, nameOf }: Words): Promise<string[][]> {
  const rows = await outputs.promoted(model, backend);
  return rows.map((each) => each.map((row) => nameOf(row) ?? String(row)));
}

function countsOf(layer: number, E: number, outputs: OutputSums | null): LayerCounts {
  return {
    layer,
    E,
    shared: 0,
    first: [],
    margins: new Array<number>(marginBins).fill(0),
    hasMargins: false,
    nearTies: 0,
    tokens: 0,
    together: table(E, E),
    outputs,
  };
}

async function count(counts: LayerCounts, layer: LayerOutput): Promise<void> {
  const { E, y_TD, routing } = layer;
  const [T] = y_TD.shape;
  const [token_N, expert_N, weight_N, probability_TE] = await Promise.all([
    routing.token_N.read(),
    routing.expert_N.read(),
    routing.weight_N.read(),
    routing.probability_TE?.read(),
  ]);
  counts.shared = routing.shared ?? 0;
  counts.tokens += T;
  const assigned = { T, token_N, expert_N, weight_N, shared: counts.shared };
  const first_T = firstOf(assigned);
  counts.first.push(first_T);
  await counts.outputs?.add(layer, first_T);
  countPairs(counts.together, assigned);
  if (!probability_TE) return;
  counts.hasMargins = true;
  for (let t = 0; t < T; t++) {
    const margin = marginAt(probability_TE, t * E + counts.shared, (t + 1) * E);
    counts.margins[Math.min(marginBins - 1, Math.floor(margin * marginBins))]++;
    if (margin < nearTie) counts.nearTies++;
  }
}

interface Assignments {
  readonly T: number;
  readonly token_N: ArrayLike<number>;
  readonly expert_N: ArrayLike<number>;
  readonly weight_N: ArrayLike<number>;
  readonly shared: number;
}

/** Expert that weighs most on each token; of equal weights the one named first. */
function firstOf({ T, token_N, expert_N, weight_N, shared }: Assignments): Int32Array {
  const first_T = new Int32Array(T).fill(-1);
  const most_T = new Float32Array(T).fill(-Infinity);
  for (let n = 0; n < expert_N.length; n++) {
    const token = token_N[n];
    if (expert_N[n] < shared || (first_T[token] >= 0 && weight_N[n] <= most_T[token])) continue;
    first_T[token] = expert_N[n];
    most_T[token] = weight_N[n];
  }
  return first_T;
}

/** Adds each token's pairs of experts; an expert that takes a token twice counts once. */
function countPairs(together: number[][], { T, token_N, expert_N, shared }: Assignments): void {
  // The assignment of the same token before this one, so that a token's experts are found without a list each.
  const before_N = new Int32Array(expert_N.length);
  const last_T = new Int32Array(T).fill(-1);
  const isThere = (expert: number, from: number): boolean => {
    for (let n = from; n >= 0; n = before_N[n]) if (expert_N[n] === expert) return true;
    return false;
  };
  for (let n = 0; n < expert_N.length; n++) {
    const [expert, token] = [expert_N[n], token_N[n]];
    if (expert < shared || isThere(expert, last_T[token])) continue;
    for (let other = last_T[token]; other >= 0; other = before_N[other]) {
      together[expert][expert_N[other]]++;
      together[expert_N[other]][expert]++;
    }
    before_N[n] = last_T[token];
    last_T[token] = n;
  }
}

/** The largest value minus the second, 0 where there is one alone. */
function marginAt(values: ArrayLike<number>, from: number, to: number): number {
  let [first, second] = [0, 0];
  for (let at = from; at < to; at++) {
    if (values[at] > first) [first, second] = [values[at], first];
    else if (values[at] > second) second = values[at];
  }
  return first - second;
}

function pointOf(
  { layer, hasMargins, nearTies, tokens, first }: LayerCounts,
  before?: Int32Array,
): PointChoices {
  const now = joined(Int32Array, first);
  // Examples are the same at every point of a run.
  const isKnown = before !== undefined && before.length === now.length;
  const changed = isKnown ? now.filter((expert, t) => expert !== before[t]).length / now.length : undefined;
  return {
    layer,
    nearTies: hasMargins ? nearTies / tokens : null,
    ...(changed === undefined ? {} : { changed }),
  };
}

function flowOf(from: LayerCounts, to: LayerCounts): ChoiceFlow {
  const counts = table(from.E, to.E);
  const there = joined(Int32Array, to.first);
  joined(Int32Array, from.first).forEach((expert, t) => {
    if (expert >= 0 && there[t] >= 0) counts[expert][there[t]]++;
  });
  return { to: to.layer, counts, information: mutualInformation(counts) };
}

function table(rows: number, columns: number): number[][] {
  return Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
}
