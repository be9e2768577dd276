// A closer look at how a trained model routes some tokens: where each went and how nearly elsewhere, what passes from one
// mixture to the next, which experts work together, and which words an expert promotes.
import type { Backend } from "../kernels/kernel.ts";
import type { LayerOutput, Model } from "../models/model.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import type { Sequences } from "../tensor/sequences.ts";
import { type TokenInLayer, type TokenLook, tokensOf } from "./look.ts";
import { outputSums, promotesWords } from "./promoted.ts";
import { mutualInformation } from "./specialisation.ts";

/** One mixture over all tokens. */
export interface LayerInspection {
  /** Place of the layer in the model, counted from 0. */
  readonly layer: number;
  /** Experts. */
  readonly E: number;
  /** First experts, which every token goes to; they are in none of what follows. */
  readonly shared: number;
  /** Share of assignments that had no room. */
  readonly droppedShare: number;
  /** Tokens by the expert that weighs most on them. */
  readonly tokens: readonly number[];
  /** The largest probability minus the second, by token; null for a router without a distribution. */
  readonly margins: readonly number[] | null;
  /** [expert][expert]: tokens that went to both; 0 on the diagonal. */
  readonly together: readonly (readonly number[])[];
  /**
   * For each expert up to eight rows of the output, by number, whose scores its output raises most above the layer's mean
   * output; null where the output is no vocabulary.
   */
  readonly promoted: readonly (readonly number[])[] | null;
}

/** From one mixture to the next. */
export interface ExpertFlow {
  /** Place of the first layer. */
  readonly from: number;
  /** Place of the second. */
  readonly to: number;
  /** [expert in the first][expert in the second]: tokens on which those weigh most. */
  readonly counts: readonly (readonly number[])[];
  /** What the first expert tells of the second, nats, with the bias of finite counts removed (Miller-Madow). */
  readonly information: number;
}

/** What {@linkcode inspectRouting} finds. */
export interface Inspection {
  /** In the order they were given. */
  readonly tokens: readonly TokenLook[];
  /** Mixtures, in order of layers. */
  readonly layers: readonly LayerInspection[];
  /** Between mixtures that follow each other. */
  readonly flows: readonly ExpertFlow[];
}

/** The expert that weighs most on a token, but for those that every token goes to; null when none took it. */
export function firstExpert({ kept }: TokenInLayer, shared = 0): number | null {
  const routed = kept.filter(({ expert }) => expert >= shared);
  return routed.length === 0
    ? null
    : routed.reduce((best, each) => each.weight > best.weight ? each : best).expert;
}

/** The largest probability minus the second; null without a distribution. One expert alone has a margin of 1. */
export function marginOf({ probability }: TokenInLayer, shared = 0): number | null {
  if (!probability) return null;
  const [first, second = 0] = probability.slice(shared).sort((a, b) => b - a);
  return first - second;
}

/**
 * Runs some tokens through a model, as in evaluation, and tells how its mixtures route them.
 * @param step Steps of training that the model has behind it.
 * @throws {RangeError} when an id is outside the model's input, or ids do not fit the sequences.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, equalSequences, random } from "@switchyard/moe";
 * import { configOf, inspectRouting, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * using backend = await cpu({ threads: 1 });
 * using model = createModel(specOf(configOf({ "model.layers": 2 }), data), createInit(backend, random(0)));
 * const tokenId = Int32Array.of(1, 2, 3, 4, 5, 6);
 * const { tokens, layers } = await inspectRouting(model, backend, {
 *   tokenId,
 *   sequences: equalSequences(2, 3),
 *   step: 0,
 * });
 * assertEquals([tokens.length, layers.length], [6, 1]);
 * assertEquals(layers[0].tokens.reduce((sum, count) => sum + count), 6);
 * ```
 */
export async function inspectRouting(
  model: Model,
  backend: Backend,
  { tokenId, sequences, step }: {
    readonly tokenId: Int32Array;
    readonly sequences: Sequences;
    readonly step: number;
  },
): Promise<Inspection> {
  using _scope = memory(backend);
  const pass = { training: false, step, random: random(0), backend };
  const output = await model.forward({ tokenId_T: tokenId, sequences }, pass);
  const byLayer = await Promise.all(output.layers.map((layer) => tokensOf(layer, tokenId.length)));
  const layers: LayerInspection[] = [];
  for (const [at, layer] of output.layers.entries()) {
    layers.push(await inspectLayer(layer, byLayer[at], model, backend));
  }
  const flows = layers.slice(1).map((to, at): ExpertFlow => {
    const from = layers[at];
    const counts = table(from.E, to.E);
    byLayer[at].forEach((token, t) => {
      const [first, second] = [firstExpert(token, from.shared), firstExpert(byLayer[at + 1][t], to.shared)];
      if (first !== null && second !== null) counts[first][second]++;
    });
    return { from: from.layer, to: to.layer, counts, information: mutualInformation(counts) };
  });
  return {
    tokens: Array.from(tokenId, (id, t) => ({ tokenId: id, layers: byLayer.map((tokens) => tokens[t]) })),
    layers,
    flows,
  };
}

/**
 * Share of tokens whose expert, the one that weighs most, is another in another model, layer by layer: that of an earlier
 * step, say.
 * @throws {RangeError} when the two are not of the same tokens and layers.
 * @example
 * ```ts
 * import { changedExperts, type Inspection } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const found = (experts: readonly number[]) => ({
 *   tokens: experts.map((expert, tokenId) => ({ tokenId, layers: [{ kept: [{ expert, weight: 1 }] }] })),
 *   layers: [{ layer: 1, E: 4, shared: 0 }],
 * }) as unknown as Inspection; // and the rest of it
 * assertEquals(changedExperts(found([0, 1, 2, 3]), found([0, 1, 3, 2])), [{ layer: 1, share: 0.5 }]);
 * ```
 */
export function changedExperts(
  one: Inspection,
  other: Inspection,
): { readonly layer: number; readonly share: number }[] {
  const isSame = one.tokens.length === other.tokens.length && one.layers.length === other.layers.length &&
    one.tokens.every(({ tokenId }, at) => tokenId === other.tokens[at].tokenId) &&
    one.layers.every(({ layer, E }, at) => layer === other.layers[at].layer && E === other.layers[at].E);
  if (!isSame) {
    throw new RangeError(
      "Cannot compare two inspections: they are of other tokens, or of models of another shape",
    );
  }
  return one.layers.map(({ layer, shared }, at) => {
    const changed = one.tokens.filter(({ layers }, t) =>
      firstExpert(layers[at], shared) !== firstExpert(other.tokens[t].layers[at], shared)
    );
    return { layer, share: changed.length / one.tokens.length };
  });
}

function table(rows: number, columns: number): number[][] {
  return Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
}

async function inspectLayer(
  layer: LayerOutput,
  tokens: readonly TokenInLayer[],
  model: Model,
  backend: Backend,
): Promise<LayerInspection> {
  const { E, routing: { shared = 0 } } = layer;
  const first = tokens.map((token) => firstExpert(token, shared));
  const counts = new Array<number>(E).fill(0);
  for (const expert of first) if (expert !== null) counts[expert]++;
  const together = table(E, E);
  for (const { kept } of tokens) {
    const routed = [...new Set(kept.map(({ expert }) => expert))].filter((expert) => expert >= shared);
    for (const a of routed) for (const b of routed) if (a !== b) together[a][b]++;
  }
  const wanted = tokens.reduce((sum, token) => sum + token.wanted.length, 0);
  const dropped = tokens.reduce((sum, token) => sum + token.dropped.length, 0);
  const margins = tokens.map((token) => marginOf(token, shared)).filter((margin) => margin !== null);
  return {
    layer: layer.layer,
    E,
    shared,
    droppedShare: wanted === 0 ? 0 : dropped / wanted,
    tokens: counts,
    margins: margins.length === 0 ? null : margins,
    together,
    promoted: await promotedBy(layer, first, model, backend),
  };
}

async function promotedBy(
  layer: LayerOutput,
  first: readonly (number | null)[],
  model: Model,
  backend: Backend,
): Promise<number[][] | null> {
  if (!promotesWords(model)) return null;
  const sums = outputSums(layer.E, model.spec.D);
  await sums.add(layer, first.map((expert) => expert ?? -1));
  return await sums.promoted(model, backend);
}
