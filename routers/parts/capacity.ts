// How many assignments an expert may keep, and who is dropped. Published systems disagree on both (for 50 tokens,
// 8 experts, 2 choices and factor 1 their capacities run from 6 to 16), so each rule and order has a name.
import * as z from "zod";
import * as kernels from "../../kernels/mod.ts";
import { subtract, toFloat, where } from "../../tensor/arithmetic.ts";
import type { Random } from "../../tensor/random.ts";
import { count, take, wholeNumbers } from "../../tensor/rows.ts";
import { apply, reshape, type Tensor, tensor } from "../../tensor/tensor.ts";
import type { OptionField } from "../../tensor/plugins.ts";

/** What a rule computes from: tokens in the scope, experts, choices per token, factor. */
export interface CapacityTerms {
  /** Tokens that share a capacity. */
  readonly T: number;
  /** Number of experts. */
  readonly E: number;
  /** Experts a token is sent to. */
  readonly K: number;
  /** Capacity factor f. */
  readonly factor: number;
}

/** A product that misses a whole number by its last bits is that number: 1.1 x 100 / 10 is 11, not 11.000000000000002. */
function settled(value: number): number {
  const whole = Math.round(value);
  return Math.abs(value - whole) <= 1e-12 * Math.abs(whole) ? whole : value;
}

function ceil(value: number): number {
  return Math.ceil(settled(value));
}

function floor(value: number): number {
  return Math.floor(settled(value));
}

function align(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/**
 * Assignments an expert may keep, by rule; `dropless` keeps all.
 * @example
 * ```ts
 * import { capacityRules } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const terms = { T: 50, E: 8, K: 2, factor: 1 };
 * assertEquals([capacityRules.mesh(terms), capacityRules.ceil(terms), capacityRules.vmoe(terms)], [6, 13, 16]);
 * ```
 */
export const capacityRules = {
  /** DeepSpeed, Megatron, MindSpore: ceil(K f T / E). */
  ceil: ({ T, E, K, factor }: CapacityTerms): number => ceil(K * factor * T / E),
  /** Switch Transformer, equation 3: (T / E) f; rounded up, since the paper leaves rounding open. K is not in it. */
  switch: ({ T, E, factor }: CapacityTerms): number => ceil(factor * T / E),
  /** Mesh-TensorFlow: min(T, int(f T / E)), at least 4. K is not in it. */
  mesh: ({ T, E, factor }: CapacityTerms): number => Math.max(4, Math.min(T, floor(factor * T / E))),
  /** GShard, section 2.2: K T / E (2N / (G E) with T = N / G), here times f; rounded up. */
  gshard: ({ T, E, K, factor }: CapacityTerms): number => ceil(factor * K * T / E),
  /** Tutel: K int(f ceil(T / E)). */
  tutel: ({ T, E, K, factor }: CapacityTerms): number => K * floor(factor * Math.ceil(T / E)),
  /** Flaxformer: round(f T / E), at least 4. K is not in it. */
  flaxformer: ({ T, E, factor }: CapacityTerms): number => Math.max(4, roundHalfEven(factor * T / E)),
  /** fairseq: 2 ceil(T / E) for two choices, int(f ceil(T / E)) for one. */
  fairseq: ({ T, E, K, factor }: CapacityTerms): number =>
    K === 1 ? floor(factor * Math.ceil(T / E)) : K * Math.ceil(T / E),
  /** MegaBlocks: int(f K T / E). */
  megablocks: ({ T, E, K, factor }: CapacityTerms): number => floor(factor * K * T / E),
  /** nanoMoE: floor(K f T / E), made even. */
  nanomoe: ({ T, E, K, factor }: CapacityTerms): number => align(floor(K * factor * T / E), 2),
  /** V-MoE: ceil(K f T / E), rounded up to a multiple of 4. */
  vmoe: ({ T, E, K, factor }: CapacityTerms): number => align(ceil(K * factor * T / E), 4),
  /** FastMoE's GShard gate: int(ceil(f T) K / E). */
  fastmoe: ({ T, E, K, factor }: CapacityTerms): number => floor(ceil(factor * T) * K / E),
  /** Expert choice, equation 1: n c / e tokens an expert; rounded down, as released code does. */
  expertchoice: ({ T, E, factor }: CapacityTerms): number => floor(factor * T / E),
  /** Nothing is dropped. */
  dropless: ({ T, K }: CapacityTerms): number => T * K,
};

/** Name of a rule in {@linkcode capacityRules}. */
export type CapacityRule = keyof typeof capacityRules;

function roundHalfEven(value: number): number {
  const settledHalf = settled(2 * value) / 2;
  const below = Math.floor(settledHalf);
  if (settledHalf - below !== 0.5) return Math.round(settledHalf);
  return below % 2 === 0 ? below : below + 1;
}

/** Who is kept when an expert is full. */
export type DropOrder = "position" | "probability" | "random" | "batch-priority";

const dropOrders = ["position", "probability", "random", "batch-priority"] as const satisfies DropOrder[];

const ruleNames = Object.keys(capacityRules) as [CapacityRule, ...CapacityRule[]];

/**
 * Options every capacity-bound router shares, with the defaults a router passes: fields for its Zod schema.
 * @example
 * ```ts
 * import { capacityOptions } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const fields = capacityOptions({ rule: "ceil", factor: 1.25, evaluationFactor: 2 });
 * assertEquals(fields.capacityRule.parse(undefined), "ceil");
 * assertEquals(fields.minimumCapacity.parse(undefined), 1);
 * ```
 */
export function capacityOptions(defaults: {
  rule: CapacityRule;
  factor: number;
  evaluationFactor: number;
}): {
  capacityRule: OptionField<CapacityRule>;
  capacityFactor: OptionField<number>;
  evaluationCapacityFactor: OptionField<number>;
  minimumCapacity: OptionField<number>;
  dropOrder: OptionField<DropOrder>;
} {
  return {
    capacityRule: z.enum(ruleNames).default(defaults.rule)
      .describe("rule for the assignments an expert may keep") as never,
    capacityFactor: z.number().positive().max(1000).default(defaults.factor).describe("factor f in training"),
    evaluationCapacityFactor: z.number().positive().max(1000).default(defaults.evaluationFactor)
      .describe("factor f in evaluation"),
    minimumCapacity: z.number().int().min(1).default(1).describe("least assignments an expert may keep"),
    dropOrder: z.enum(dropOrders).default("position").describe(
      "who is kept when an expert is full: the first, the most probable, a random draw (in training), or tokens by " +
        "their first choice's probability with all first choices before any second (V-MoE's batch priority)",
    ),
  };
}

/** The parsed form of {@linkcode capacityOptions}. */
export interface CapacityOptions {
  /** Rule for the assignments an expert may keep. */
  readonly capacityRule: CapacityRule;
  /** Factor f in training. */
  readonly capacityFactor: number;
  /** Factor f in evaluation. */
  readonly evaluationCapacityFactor: number;
  /** Least assignments an expert may keep. */
  readonly minimumCapacity: number;
  /**
   * Who is kept when an expert is full: the first, the most probable, a random draw (in training), or tokens
   * by their first choice's probability with all first choices before any second (V-MoE's batch priority).
   */
  readonly dropOrder: DropOrder;
}

/**
 * Whether a token that comes later never takes an earlier token's place in evaluation: true without a limit, and where the
 * first are kept (a random draw is for training alone).
 * @example
 * ```ts
 * import { keepsOrder } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(keepsOrder({ capacityRule: "ceil", dropOrder: "probability" }), false);
 * assertEquals(keepsOrder({ capacityRule: "dropless", dropOrder: "probability" }), true);
 * ```
 */
export function keepsOrder(
  { capacityRule, dropOrder }: Pick<CapacityOptions, "capacityRule" | "dropOrder">,
): boolean {
  return capacityRule === "dropless" || dropOrder === "position" || dropOrder === "random";
}

/**
 * Assignments an expert may keep of a scope of T tokens with K choices each. Given a padding mask, it is counted from
 * each scope's real tokens, so that padding makes no room: f32 [scopes].
 * @example
 * ```ts
 * import { capacityOf, parseOptions, switchRouter } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const options = parseOptions(switchRouter); // factor 1.25 in training, 2 in evaluation
 * assertEquals(capacityOf(options, { T: 64, E: 8, K: 1 }, true), 10);
 * assertEquals(capacityOf(options, { T: 64, E: 8, K: 1 }, false), 16);
 * ```
 */
export function capacityOf(
  options: CapacityOptions,
  terms: Omit<CapacityTerms, "factor">,
  training: boolean,
): number;
/** The same where padding is known: f32 [scopes]; one number where all tokens are real. */
export function capacityOf(
  options: CapacityOptions,
  terms: Omit<CapacityTerms, "factor">,
  training: boolean,
  real_T: Tensor | undefined,
): number | Tensor;
export function capacityOf(
  options: CapacityOptions,
  terms: Omit<CapacityTerms, "factor">,
  training: boolean,
  real_T?: Tensor,
): number | Tensor {
  const factor = training ? options.capacityFactor : options.evaluationCapacityFactor;
  const capacity = (T: number) => {
    const found = capacityRules[options.capacityRule]({ ...terms, T, factor });
    return Math.max(options.minimumCapacity, Math.min(found, T * terms.K));
  };
  const all = real_T?.shape[0] ?? 0;
  if (!real_T || all === 0 || options.capacityRule === "dropless") return capacity(terms.T);
  // How many tokens are real is known on the device alone: it looks the capacity up.
  const scope_T = scopeOfToken(real_T, terms.T);
  const realScope_T = where(real_T, scope_T, wholeNumbers(real_T, [all], () => -1));
  const byCount = Float32Array.from({ length: terms.T + 1 }, (_, T) => capacity(T));
  return take(
    tensor(real_T.backend, byCount, [terms.T + 1]),
    count(realScope_T, Math.ceil(all / terms.T)),
  );
}

/** Longer than any scope: where all have room there, all have room. */
const LONGEST = 2 ** 24;

/** What {@linkcode keepWithinCapacity} is given besides the choices. */
export interface CapacityScope {
  /** Number of experts. */
  readonly E: number;
  /** Of every scope, or of each: f32 [scopes]. */
  readonly capacity: number | Tensor;
  /**
   * Capacity of a scope of any size in evaluation, where a router tells: a model that it is exported with has a scope as long
   * as its input.
   */
  readonly capacityAt?: (tokens: number) => number;
  /** Tokens that share a capacity: T for the whole batch, less for groups. */
  readonly scope: number;
  /** Who is kept when an expert is full. */
  readonly dropOrder: CapacityOptions["dropOrder"];
  /** Evaluation is free of noise: there, `random` is `position`. */
  readonly training: boolean;
  /** Probability of each choice, [T, K]: what `probability` ranks by. */
  readonly probability_TK: Tensor;
  /** A stream of this layer and step, for a random order. */
  readonly random: Random;
  /** All first choices are placed before any second choice. */
  readonly choiceMajor: boolean;
}

/**
 * Experts of [T, K] with -1 where the expert was full.
 * @param wanted_TK Experts before capacity, i32; -1 takes no place.
 * @example
 * ```ts
 * import { cpu, keepWithinCapacity, random, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const expert_TK = keepWithinCapacity(tensor(backend, Int32Array.of(0, 0, 0, 1), [4, 1]), {
 *   E: 2,
 *   capacity: 2,
 *   scope: 4,
 *   dropOrder: "probability",
 *   training: true,
 *   probability_TK: tensor(backend, [0.6, 0.9, 0.7, 0.5], [4, 1]),
 *   random: random(0),
 *   choiceMajor: false,
 * });
 * assertEquals(await expert_TK.read(), Int32Array.of(-1, 0, 0, 1));
 * backend.close();
 * ```
 */
export function keepWithinCapacity(wanted_TK: Tensor, options: CapacityScope): Tensor {
  const { capacity, capacityAt, scope, training } = options;
  const K = wanted_TK.shape[1];
  // Whoever traces a router for scopes of any size is shown a limit that only longer ones have.
  const isFree = training || scope === 0 || !capacityAt || capacityAt(LONGEST) >= LONGEST * K;
  if (typeof capacity === "number" && capacity >= scope * K && isFree) return wanted_TK;
  const rank_TK = rankInGroup(wanted_TK, options);
  return typeof capacity === "number"
    ? apply(kernels.keepRanked, [wanted_TK, rank_TK], {
      scope,
      most: capacity,
      ...(capacityAt && !training ? { mostOf: capacityAt } : {}),
    })[0]
    : apply(kernels.keepRanked, [wanted_TK, rank_TK, capacity], { scope })[0];
}

function scopeOfToken(like: Tensor, scope: number): Tensor {
  return wholeNumbers(like, [like.shape[0]], (t) => Math.floor(t / scope));
}

/**
 * Experts with -1 where they are not to be kept: padding then takes no capacity and counts nowhere.
 * @param expert i32 [T, K], or of any shape that `keep` has too.
 * @param keep f32 of the same shape, or [T] for all choices of a token: 0 = leave out; undefined = keep all.
 * @example
 * ```ts
 * import { cpu, maskExperts, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const expert_TK = tensor(backend, Int32Array.of(3, 5, 2, 0), [2, 2]);
 * const real_T = tensor(backend, [1, 0], [2]);
 * assertEquals(await maskExperts(expert_TK, real_T).read(), Int32Array.of(3, 5, -1, -1));
 * const used_TK = tensor(backend, [1, 0, 1, 1], [2, 2]);
 * assertEquals(await maskExperts(expert_TK, used_TK).read(), Int32Array.of(3, -1, 2, 0));
 * backend.close();
 * ```
 */
export function maskExperts(expert: Tensor, keep: Tensor | undefined): Tensor {
  if (!keep) return expert;
  const left = wholeNumbers(expert, expert.shape, () => -1);
  if (keep.shape.length === expert.shape.length) return where(keep, expert, left);
  const [T, K] = expert.shape;
  const token_N = wholeNumbers(expert, [T * K], (at) => Math.floor(at / K));
  return where(reshape(take(keep, token_N), [T, K]), expert, left);
}

function rankInGroup(wanted_TK: Tensor, options: CapacityScope): Tensor {
  const params = { groups: options.E, scope: options.scope, choiceMajor: options.choiceMajor };
  const order = options.dropOrder === "random" && !options.training ? "position" : options.dropOrder;
  switch (order) {
    case "position":
      return apply(kernels.rankInGroup, [wanted_TK], params)[0];
    case "probability":
      return apply(kernels.rankInGroup, [wanted_TK, options.probability_TK], params)[0];
    case "random": {
      const [key0, key1] = options.random.split("drop order").key;
      const shape = wanted_TK.shape;
      const [priority] = apply(kernels.uniform, [], { key0, key1, shape }, wanted_TK.backend);
      return apply(kernels.rankInGroup, [wanted_TK, reshape(priority, shape)], params)[0];
    }
    case "batch-priority":
      return apply(kernels.rankInGroup, [wanted_TK, batchPriority(options)], params)[0];
    default:
      return order satisfies never;
  }
}

/** -(place of the token by its first choice's probability + choice x scope): whole numbers, exact below 2^24. */
function batchPriority({ probability_TK, scope }: CapacityScope): Tensor {
  const [T, K] = probability_TK.shape;
  const column_T1 = () => wholeNumbers(probability_TK, [T, 1], () => 0);
  const [first_T1] = apply(kernels.takeAlong, [probability_TK, column_T1()], {});
  const [place_T1] = apply(kernels.rankInGroup, [column_T1(), first_T1], {
    groups: 1,
    scope,
    choiceMajor: false,
  });
  const behind_TK = Float32Array.from({ length: T * K }, (_, at) => -(at % K) * scope);
  return subtract(tensor(probability_TK.backend, behind_TK, [T, K]), toFloat(place_T1));
}
