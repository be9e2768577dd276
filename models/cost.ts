// What a model costs, counted from its description and nowhere else: weights, weights one token passes through, forward
// FLOPs by part, and what a training step holds. One multiply-add is two FLOPs.
import { bankBytes, fullBytes } from "../experts/parts/bank_bytes.ts";
import { choicesOf, type LayerSpec, type ModelSpec, type MoeSpec, projectedColumns, rowsOf } from "./spec.ts";

/** Weights by part. */
export interface WeightCounts {
  /** All weights. */
  readonly total: number;
  /** The routers' own. */
  readonly router: number;
  /** All banks of experts. */
  readonly experts: number;
  /** Those one token passes through at the declared number of experts. */
  readonly active: number;
}

/** Forward FLOPs of one token by part; `experts` at the declared number of experts, nothing dropped. */
export interface FlopCounts {
  /** Projections, scores and sums of attention. */
  readonly attention: number;
  /** Dense networks, shared experts among them. */
  readonly dense: number;
  /** Experts. */
  readonly experts: number;
  /** Scores against the vocabulary or the classes. */
  readonly output: number;
  /** The routers' products with their own matrices; null before there are routers to ask. */
  readonly router: number | null;
}

/**
 * Everything but the routers' own work, which is what a comparison varies.
 * @example
 * ```ts
 * import { activeFlop } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(activeFlop({ attention: 4, dense: 3, experts: 2, output: 1, router: 5 }), 10);
 * ```
 */
export function activeFlop({ attention, dense, experts, output }: FlopCounts): number {
  return attention + dense + experts + output;
}

/** FLOPs of one expert for one token of a layer; the mean, where experts differ. */
export function expertFlop(D: number, { experts, expertOptions, E, F }: MoeSpec): number {
  return experts.flopPerToken({ D, F, E }, expertOptions);
}

/** The same of each expert. */
export function flopByExpert(D: number, moe: MoeSpec): number[] {
  const { experts, expertOptions, E, F } = moe;
  return Array.from(
    { length: E },
    (_, e) => experts.flopOfExpert?.({ D, F, E }, expertOptions, e) ?? expertFlop(D, moe),
  );
}

/**
 * Forward FLOPs of one token, by part.
 * @param routerWeights Values in the routers' matrices, where they are known: each takes part in one multiply-add a token.
 * @example
 * ```ts
 * import { flopOf } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const spec = specOf(configOf({ "model.width": 8, "model.layers": 1, "model.moeEvery": 1, "train.length": 15 }), data);
 * const [D, F, L, V] = [8, 256, 15, 64];
 * assertEquals(flopOf(spec), {
 *   attention: 2 * 4 * D * D + 2 * 2 * D * (L + 1) / 2,
 *   dense: 0,
 *   experts: 2 * 2 * D * F,
 *   output: 2 * V * D,
 *   router: null,
 * });
 * ```
 */
export function flopOf(spec: ModelSpec, routerWeights: number | null = null): FlopCounts {
  const { D, layers, length } = spec;
  const sum = (of: (layer: LayerSpec) => number) => layers.reduce((total, layer) => total + of(layer), 0);
  // Causal: a query sees (L + 1) / 2 keys on average, in two products.
  const attention = sum((layer) =>
    layer.attention ? 2 * D * (projectedColumns(D, layer.attention) + D) + 2 * D * (length + 1) : 0
  );
  const dense = sum(({ feedForward }) => {
    if (feedForward.kind === "dense") return 4 * D * feedForward.width;
    return feedForward.kind === "moe" ? sharedExpertCost(D, feedForward).flop : 0;
  });
  const experts = sum(({ feedForward }) =>
    feedForward.kind === "moe" ? choicesOf(feedForward) * expertFlop(D, feedForward) : 0
  );
  return {
    attention,
    dense,
    experts,
    output: 2 * outputRows(spec) * D,
    router: routerWeights === null ? null : 2 * routerWeights,
  };
}

/**
 * Weights that can be counted without making them: all but the routers'.
 * @example
 * ```ts
 * import { weightsOf } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const spec = specOf(configOf({ "model.width": 8, "model.layers": 1, "model.moeEvery": 1, "model.heads": 0 }), data);
 * const [D, F, V, E] = [8, 256, 64, 8];
 * // Embedding, two norms, and experts of two matrices.
 * const total = V * D + 2 * D + E * 2 * D * F;
 * assertEquals(weightsOf(spec), { total, experts: E * 2 * D * F, active: total - 7 * 2 * D * F });
 * ```
 */
export function weightsOf(spec: ModelSpec): Omit<WeightCounts, "router"> {
  const { D, layers, input } = spec;
  let total = (input.kind === "tokens" ? input.V * D : 0) + (spec.outputNorm ? D : 0);
  let experts = 0;
  let idle = 0;
  for (const { attention, feedForward, norm } of layers) {
    if (attention) total += D + D * (projectedColumns(D, attention) + D);
    if (feedForward.kind !== "none" && norm) total += D;
    if (feedForward.kind === "dense") {
      total += 2 * D * feedForward.width + (feedForward.bias ? feedForward.width + D : 0);
    } else if (feedForward.kind === "moe") {
      const { E, F, experts: plugin, expertOptions } = feedForward;
      total += sharedExpertCost(D, feedForward).weights;
      // A whole number for the bank, and a mean for one expert where experts differ.
      const own = Math.round(E * plugin.parameters({ D, F, E }, expertOptions));
      experts += own + (plugin.sharedParameters?.({ D, F, E }, expertOptions) ?? 0);
      idle += (1 - choicesOf(feedForward) / E) * own;
    }
  }
  return { total: total + experts, experts, active: total + experts - idle };
}

/** What a mixture's shared expert costs a token: FLOPs, weights and values kept; all 0 where there is none. */
function sharedExpertCost(
  D: number,
  { sharedExpert }: MoeSpec,
): { readonly flop: number; readonly weights: number; readonly kept: number } {
  if (!sharedExpert) return { flop: 0, weights: 0, kept: 0 };
  const { experts, expertOptions, F, mix } = sharedExpert;
  const sizes = { D, F, E: 1 };
  const mixes = mix === "learned";
  return {
    flop: experts.flopPerToken(sizes, expertOptions) + (mixes ? 4 * D : 0),
    weights: experts.parameters(sizes, expertOptions) +
      (experts.sharedParameters?.(sizes, expertOptions) ?? 0) + (mixes ? 2 * D + 2 : 0),
    kept: experts.activationsPerToken(sizes, expertOptions),
  };
}

/**
 * Bytes of all weights as products read them: those of experts in the format that their kind keeps them in, all others 4 each;
 * without the routers'.
 * @example
 * ```ts
 * import { weightBytesOf, weightsOf } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const spec = specOf(configOf({ "model.width": 64, "experts.weights": "mxfp4" }), data);
 * const { total, experts } = weightsOf(spec);
 * assertEquals(weightBytesOf(spec), 4 * (total - experts) + 4.25 / 8 * experts);
 * ```
 */
export function weightBytesOf(spec: ModelSpec): number {
  return 4 * weightsOf(spec).total + banksOf(spec).reduce((sum, { kept, full }) => sum + kept - full, 0);
}

/** Bytes that a pass in training adds for rounded copies: parameters themselves stay in 32 bits. */
function roundedBytes(spec: ModelSpec): number {
  return banksOf(spec).reduce((sum, { kept, full }) => sum + (kept === full ? 0 : kept), 0);
}

/** What each bank takes as products read it, and in 32 bits. */
function banksOf({ D, layers }: ModelSpec): { readonly kept: number; readonly full: number }[] {
  return layers.flatMap(({ feedForward }) => {
    if (feedForward.kind !== "moe") return [];
    const { E, F, experts, expertOptions, sharedExpert: shared } = feedForward;
    const banks = [{ plugin: experts, dims: { D, F, E }, options: expertOptions }];
    if (shared) {
      banks.push({ plugin: shared.experts, dims: { D, F: shared.F, E: 1 }, options: shared.expertOptions });
    }
    return banks.map(({ plugin, dims, options }) => ({
      kept: bankBytes(plugin, dims, options),
      full: fullBytes(plugin, dims, options),
    }));
  });
}

/** What a training step of T tokens holds at least, in bytes, and its largest array. */
export function stepBytes(spec: ModelSpec, T: number): { readonly least: number; readonly largest: number } {
  const { D } = spec;
  const weights = weightsOf(spec).total;
  const rows = outputRows(spec);
  let activations = 0;
  let largest = Math.max(T * rows, rowsOf(spec.input) * D);
  for (const { attention, feedForward } of spec.layers) {
    // Two norms, queries, keys and values, attention and two sums.
    activations += T * (attention ? 5 * D + projectedColumns(D, attention) : 2 * D);
    if (feedForward.kind === "dense") {
      activations += T * feedForward.width;
      largest = Math.max(largest, T * feedForward.width, D * feedForward.width);
    } else if (feedForward.kind === "moe") {
      const { E, F, experts, expertOptions } = feedForward;
      const sizes = { D, F, E };
      const assignments = T * choicesOf(feedForward);
      const kept = experts.activationsPerToken(sizes, expertOptions);
      activations += assignments * kept + T * sharedExpertCost(D, feedForward).kept;
      // Hidden units and one matrix of each expert, unless the kind has less than that altogether.
      const matrices = E * Math.min(F * D, experts.parameters(sizes, expertOptions));
      largest = Math.max(largest, assignments * Math.min(F, kept), matrices);
    }
  }
  // Weights and two moments, and what is rounded of them; then logits and the embedding's gradient, or all gradients.
  const rounded = roundedBytes(spec);
  const least = rounded +
    4 * (3 * weights + activations + Math.max(T * rows + rowsOf(spec.input) * D, weights));
  return { least, largest: 4 * largest };
}

function outputRows({ target, input }: ModelSpec): number {
  return target.kind === "tokens" ? rowsOf(input) : target.vectors.rows;
}
