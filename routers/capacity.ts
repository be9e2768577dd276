// How many assignments an expert may keep, and who is dropped. Published systems disagree on both (for 50 tokens,
// 8 experts, 2 choices and factor 1 their capacities run from 6 to 16), so each rule and order has a name.
import { z } from "zod";
import * as kernels from "../kernels/mod.ts";
import { greater, subtract, toFloat, where } from "../tensor/arithmetic.ts";
import type { Random } from "../tensor/random.ts";
import { take, wholeNumbers } from "../tensor/rows.ts";
import { apply, reshape, type Tensor, tensor } from "../tensor/tensor.ts";

/** What a rule computes from: tokens in the scope, experts, choices per token, factor. */
export interface CapacityTerms {
  readonly T: number;
  readonly E: number;
  readonly K: number;
  readonly factor: number;
}

function align(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/** Assignments an expert may keep, by rule. `dropless` keeps all. */
export const capacityRules = {
  /** DeepSpeed, Megatron, MindSpore: ceil(K f T / E). */
  ceil: ({ T, E, K, factor }: CapacityTerms): number => Math.ceil(K * factor * T / E),
  /** Switch Transformer, equation 3: (T / E) f; rounded up, since the paper leaves rounding open. K is not in it. */
  switch: ({ T, E, factor }: CapacityTerms): number => Math.ceil(factor * T / E),
  /** Mesh-TensorFlow: min(T, int(f T / E)), at least 4. K is not in it. */
  mesh: ({ T, E, factor }: CapacityTerms): number => Math.max(4, Math.min(T, Math.floor(factor * T / E))),
  /** GShard, section 2.2: K T / E (2N / (G E) with T = N / G), here times f; rounded up. */
  gshard: ({ T, E, K, factor }: CapacityTerms): number => Math.ceil(factor * K * T / E),
  /** Tutel: K int(f ceil(T / E)). */
  tutel: ({ T, E, K, factor }: CapacityTerms): number => K * Math.floor(factor * Math.ceil(T / E)),
  /** Flaxformer: round(f T / E), at least 4. K is not in it. */
  flaxformer: ({ T, E, factor }: CapacityTerms): number => Math.max(4, roundHalfEven(factor * T / E)),
  /** fairseq: 2 ceil(T / E) for two choices, int(f ceil(T / E)) for one. */
  fairseq: ({ T, E, K, factor }: CapacityTerms): number =>
    K === 1 ? Math.floor(factor * Math.ceil(T / E)) : K * Math.ceil(T / E),
  /** MegaBlocks: int(f K T / E). */
  megablocks: ({ T, E, K, factor }: CapacityTerms): number => Math.floor(factor * K * T / E),
  /** nanoMoE: floor(K f T / E), made even. */
  nanomoe: ({ T, E, K, factor }: CapacityTerms): number => align(Math.floor(K * factor * T / E), 2),
  /** V-MoE: ceil(K f T / E), rounded up to a multiple of 4. */
  vmoe: ({ T, E, K, factor }: CapacityTerms): number => align(Math.ceil(K * factor * T / E), 4),
  /** FastMoE's GShard gate: int(ceil(f T) K / E). */
  fastmoe: ({ T, E, K, factor }: CapacityTerms): number => Math.floor(Math.ceil(factor * T) * K / E),
  /** Expert choice, equation 1: n c / e tokens an expert; rounded down, as released code does. */
  expertchoice: ({ T, E, factor }: CapacityTerms): number => Math.floor(factor * T / E),
  /** Nothing is dropped. */
  dropless: ({ T, K }: CapacityTerms): number => T * K,
};

export type CapacityRule = keyof typeof capacityRules;

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

const dropOrders = ["position", "probability", "random", "batch-priority"] as const;

/** Who is kept when an expert is full. */
export type DropOrder = typeof dropOrders[number];

const ruleNames = Object.keys(capacityRules) as [CapacityRule, ...CapacityRule[]];

/** Options every capacity-bound router shares, with the defaults a router passes. */
export function capacityOptions(defaults: {
  rule: CapacityRule;
  factor: number;
  evaluationFactor: number;
}): {
  capacityRule: z.ZodDefault<z.ZodEnum<{ [Rule in CapacityRule]: Rule }>>;
  capacityFactor: z.ZodDefault<z.ZodNumber>;
  evaluationCapacityFactor: z.ZodDefault<z.ZodNumber>;
  minimumCapacity: z.ZodDefault<z.ZodNumber>;
  dropOrder: z.ZodDefault<z.ZodEnum<{ [Order in DropOrder]: Order }>>;
} {
  return {
    capacityRule: z.enum(ruleNames).default(defaults.rule)
      .describe("rule for the assignments an expert may keep") as never,
    capacityFactor: z.number().positive().max(1000).default(defaults.factor).describe("factor f in training"),
    evaluationCapacityFactor: z.number().positive().max(1000).default(defaults.evaluationFactor)
      .describe("factor f in evaluation"),
    minimumCapacity: z.number().int().min(1).default(1).describe("least assignments an expert may keep"),
    dropOrder: z.enum(dropOrders).default("position").describe(
      "who is kept when an expert is full: the first, the most probable, a random draw, or tokens by their first " +
        "choice's probability with all first choices before any second (V-MoE's batch priority)",
    ),
  };
}

/** The parsed form of {@linkcode capacityOptions}. */
export interface CapacityOptions {
  readonly capacityRule: CapacityRule;
  readonly capacityFactor: number;
  readonly evaluationCapacityFactor: number;
  readonly minimumCapacity: number;
  readonly dropOrder: DropOrder;
}

/** Assignments an expert may keep of a scope of T tokens with K choices each. */
export function capacityOf(
  options: CapacityOptions,
  terms: Omit<CapacityTerms, "factor">,
  training: boolean,
): number {
  const factor = training ? options.capacityFactor : options.evaluationCapacityFactor;
  const found = capacityRules[options.capacityRule]({ ...terms, factor });
  return Math.max(options.minimumCapacity, Math.min(found, terms.T * terms.K));
}

/** What {@linkcode keepWithinCapacity} is given besides the choices. */
export interface CapacityScope {
  readonly E: number;
  readonly capacity: number;
  /** Tokens that share a capacity: T for the whole batch, less for groups. */
  readonly scope: number;
  readonly dropOrder: CapacityOptions["dropOrder"];
  /** Probability of each choice, [T, K]: what `probability` ranks by. */
  readonly probability_TK: Tensor;
  readonly random: Random;
  /** All first choices are placed before any second choice. */
  readonly choiceMajor: boolean;
}

/** Experts of [T, K] with -1 where the expert was full. */
export function keepWithinCapacity(wanted_TK: Tensor, options: CapacityScope): Tensor {
  if (options.capacity >= options.scope * wanted_TK.shape[1]) return wanted_TK;
  const rank_TK = rankInGroup(wanted_TK, options);
  const limit = tensor(wanted_TK.backend, [options.capacity - 0.5], [1]);
  return leaveOut(greater(toFloat(rank_TK), limit), wanted_TK);
}

/** Experts with -1 where the mask is not 0. */
export function leaveOut(mask: Tensor, expert: Tensor): Tensor {
  return where(mask, wholeNumbers(expert, expert.shape, () => -1), expert);
}

/** Experts with -1 for padding, so that padding takes no capacity and counts nowhere. */
export function leaveOutPadding(expert_TK: Tensor, real_T: Tensor | undefined): Tensor {
  if (!real_T) return expert_TK;
  const [T, K] = expert_TK.shape;
  const token_N = wholeNumbers(expert_TK, [T * K], (at) => Math.floor(at / K));
  const real_TK = reshape(take(real_T, token_N), [T, K]);
  return where(real_TK, expert_TK, wholeNumbers(expert_TK, [T, K], () => -1));
}

function rankInGroup(wanted_TK: Tensor, options: CapacityScope): Tensor {
  const params = { groups: options.E, scope: options.scope, choiceMajor: options.choiceMajor };
  switch (options.dropOrder) {
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
      return options.dropOrder satisfies never;
  }
}

/** -(place of the token by its first choice's probability + choice x scope): whole numbers, exact below 2^24. */
function batchPriority({ probability_TK, scope }: CapacityScope): Tensor {
  const [T, K] = probability_TK.shape;
  const column_T1 = (value: number) => wholeNumbers(probability_TK, [T, 1], () => value);
  const [first_T1] = apply(kernels.takeAlong, [probability_TK, column_T1(0)], {});
  const [place_T1] = apply(kernels.rankInGroup, [column_T1(0), first_T1], {
    groups: 1,
    scope,
    choiceMajor: false,
  });
  const behind_TK = Float32Array.from({ length: T * K }, (_, at) => -(at % K) * scope);
  return subtract(tensor(probability_TK.backend, behind_TK, [T, K]), toFloat(place_T1));
}
