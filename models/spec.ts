// A model as data: what it reads, a list of layers, and what it has to say. Each layer is attention or none, then a dense
// network, a mixture of experts, or nothing. Costs, memory and parameters are all derived from this one description.
import type { AnyExpertPlugin } from "../experts/registry.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";

/** Vectors that training does not change, row-major [rows, D]. */
export interface FrozenVectors {
  /** How many vectors there are. */
  readonly rows: number;
  /** Width of each. */
  readonly D: number;
  /** rows x D numbers. */
  readonly values: Float32Array;
}

/** What a model is given: ids of a vocabulary whose embedding it learns, or rows of frozen vectors. */
export type ModelInput =
  | { readonly kind: "tokens"; readonly V: number; readonly tokenCount_V: Int32Array }
  | { readonly kind: "vectors"; readonly vectors: FrozenVectors };

/**
 * What a model has to say. `tokens`: the next token, scored against the embedding. `vectors`: scores against frozen vectors,
 * one a class (cross-entropy) or one a value (squared error).
 */
export type ModelTarget =
  | { readonly kind: "tokens" }
  | {
    readonly kind: "vectors";
    readonly vectors: FrozenVectors;
    readonly loss: "cross-entropy" | "squared-error";
  };

/** Causal attention with rotary positions; a head has D / heads columns. */
export interface AttentionSpec {
  /** Heads of queries, H. */
  readonly heads: number;
  /** Heads of keys and values, G, which divide H (grouped-query attention, Ainslie et al. 2023). */
  readonly keyValueHeads: number;
  /** Columns of a head that its position turns, from the first on: an even number. */
  readonly rotaryWidth: number;
}

/** A dense feed-forward network with ReLU. */
export interface DenseSpec {
  /** Tells it from a mixture. */
  readonly kind: "dense";
  /** Intermediate size. */
  readonly width: number;
  /** Whether both of its products have biases. */
  readonly bias: boolean;
  /** Standard deviation of the second matrix's initial values. */
  readonly outDeviation: number;
}

/** A network that every token passes through beside the experts chosen for it. */
export interface SharedExpertSpec {
  /** The kind that makes it, with one expert. */
  readonly experts: AnyExpertPlugin;
  /** With defaults filled in, as the plugin's schema gives them. */
  readonly expertOptions: unknown;
  /** Its intermediate size. */
  readonly F: number;
  /**
   * `sum`: added to the mixture (DeepSeekMoE section 3.2; PR-MoE section 4.1). `learned`: both are weighed by
   * softmax(x W + b) (PR-MoE in DeepSpeed's code).
   */
  readonly mix: "sum" | "learned";
}

/** A mixture of experts. */
export interface MoeSpec {
  /** Tells it from a dense network. */
  readonly kind: "moe";
  /** Kind of router. */
  readonly router: AnyRouterPlugin;
  /** With defaults filled in, as the plugin's schema gives them. */
  readonly routerOptions: unknown;
  /** Kind of experts. */
  readonly experts: AnyExpertPlugin;
  /** With defaults filled in, as the plugin's schema gives them. */
  readonly expertOptions: unknown;
  /** Experts. */
  readonly E: number;
  /** Intermediate size of one expert. */
  readonly F: number;
  /** A network that every token passes through besides. */
  readonly sharedExpert?: SharedExpertSpec | null;
}

/** What follows attention in a layer. */
export type FeedForwardSpec = DenseSpec | MoeSpec | { readonly kind: "none" };

/** One layer: x + attention(norm(x)), then x + feedForward(norm(x)). */
export interface LayerSpec {
  /** Attention, or none. */
  readonly attention: AttentionSpec | null;
  /** What follows attention. */
  readonly feedForward: FeedForwardSpec;
  /** Whether RMSNorm stands before the feed-forward part. */
  readonly norm: boolean;
  /** Whether the feed-forward part is added to what it reads, or replaces it. */
  readonly residual: boolean;
}

/** A model as data. */
export interface ModelSpec {
  /** Hidden size D. */
  readonly D: number;
  /** What it reads. */
  readonly input: ModelInput;
  /** What it predicts. */
  readonly target: ModelTarget;
  /** From the first to the last. */
  readonly layers: readonly LayerSpec[];
  /** Whether RMSNorm stands before the scores. */
  readonly outputNorm: boolean;
  /** Tokens of a training sequence: what routers that need it are made for. */
  readonly length: number;
  /** Ranks the model is laid out over; arithmetic stays in one place. */
  readonly ranks: number;
  /** Ranks that share a node. */
  readonly ranksPerNode: number;
}

/**
 * Rows of the input: ids lie below this.
 * @example
 * ```ts
 * import { rowsOf } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(rowsOf({ kind: "tokens", V: 3, tokenCount_V: Int32Array.of(5, 2, 1) }), 3);
 * ```
 */
export function rowsOf(input: ModelInput): number {
  return input.kind === "tokens" ? input.V : input.vectors.rows;
}

/**
 * Columns of queries, keys and values side by side: (H + 2 G) D / H.
 * @example
 * ```ts
 * import { projectedColumns } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(projectedColumns(64, { heads: 4, keyValueHeads: 4, rotaryWidth: 16 }), 3 * 64);
 * assertEquals(projectedColumns(64, { heads: 4, keyValueHeads: 1, rotaryWidth: 16 }), 64 + 2 * 16);
 * ```
 */
export function projectedColumns(D: number, { heads, keyValueHeads }: AttentionSpec): number {
  return (heads + 2 * keyValueHeads) * (D / heads);
}

/**
 * K: experts a token is sent to in a layer, as its router declares.
 * @example
 * ```ts
 * import { choicesOf, findExperts, findRouter } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const [router, experts] = [findRouter("gshard"), findExperts("feed-forward")];
 * const options = { routerOptions: {}, expertOptions: {} };
 * assertEquals(choicesOf({ kind: "moe", router, experts, ...options, E: 8, F: 16 }), 2);
 * ```
 */
export function choicesOf({ router, routerOptions }: MoeSpec): number {
  return router.expertsPerToken(routerOptions);
}

/**
 * Layers with a mixture of experts, with their place.
 * @example
 * ```ts
 * import { moeLayers } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const spec = specOf(configOf({ "model.layers": 4, "model.moeEvery": 2 }), data);
 * assertEquals(moeLayers(spec).map(({ at, moe }) => [at, moe.router.name]), [[1, "switch"], [3, "switch"]]);
 * ```
 */
export function moeLayers(spec: ModelSpec): { readonly at: number; readonly moe: MoeSpec }[] {
  return spec.layers.flatMap(({ feedForward }, at) =>
    feedForward.kind === "moe" ? [{ at, moe: feedForward }] : []
  );
}
