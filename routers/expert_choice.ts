// Expert choice: each expert takes the tokens it scores highest, exactly as many as it has room for. Load is even by
// construction; a token may get several experts or none. Selection looks at later tokens, so a decoder leaks the future.
import * as z from "zod";
import { relu } from "../tensor/activations.ts";
import { add, affine, log, subtract } from "../tensor/arithmetic.ts";
import { truncatedNormal } from "../tensor/init.ts";
import { memory, release } from "../tensor/memory.ts";
import { matmul } from "../tensor/products.ts";
import { logsumexp, softmax } from "../tensor/reduce.ts";
import { takeAlong, transpose } from "../tensor/rows.ts";
import { reshape, type Tensor, tensor } from "../tensor/tensor.ts";
import { capacityOf, type CapacityOptions, capacityOptions } from "./parts/capacity.ts";
import { fillSlots, rankable, slotAssignments } from "./parts/expert_slots.ts";
import { zeroPadding } from "./parts/padding.ts";
import type { RouterPlugin } from "./router.ts";

/** Options of {@linkcode expertChoice}. */
export interface ExpertChoiceOptions extends Omit<CapacityOptions, "dropOrder"> {
  /** b: about how many experts a token may have, by an entropy-regularised plan; null = any number. */
  readonly cap: number | null;
  /** Weight of the plan's entropy. */
  readonly lambda: number;
  /** Rounds of Dykstra's projections. */
  readonly iterations: number;
  /** s of the gate's init, sigma = sqrt(s / D). */
  readonly initScale: number;
}

// c is the mean number of experts per token. There is no drop order: experts rank tokens by score.
const { dropOrder: _, ...capacity } = capacityOptions({
  rule: "expertchoice",
  factor: 2,
  evaluationFactor: 2,
});

/** Expert choice routing (Zhou et al. 2022). */
export const expertChoice: RouterPlugin<ExpertChoiceOptions> = {
  name: "expert-choice",
  about: "Each expert takes its n c / e highest-scored tokens; even by construction, not causal.",
  paper: {
    title: "Mixture-of-Experts with Expert Choice Routing",
    year: 2022,
    identifier: "arXiv:2202.09368",
    equations: "section 3.2, equations 1 to 4; section 3.3 (a cap on experts per token)",
  },
  readings: [
    "Capacity is rounded down and at least 1; it counts real tokens.",
    "The capped plan is worked out in logarithms, without gradient; the weight is the score, " +
    "not the plan.",
    "Taking the C largest entries of a fractional plan may pass the cap for a few tokens.",
  ],
  pitfalls: [
    "Selection looks at the whole batch: at K choices of N experts it can leak about K " +
    "log2((1 - R) / R) bits a token and layer, R = K / N.",
    "Softmax runs over experts, not over tokens, and the weights of a token do not sum to 1.",
  ],
  traits: { causal: false, balancedBy: "construction", perToken: "varies", gradient: "through weight" },
  options: z.strictObject({
    ...capacity,
    cap: z.number().int().min(1).nullable().default(null)
      .describe(
        "b: about how many experts a token may have, by an entropy-regularised plan; null = any number",
      ),
    lambda: z.number().positive().default(1e-3).describe("weight of the plan's entropy"),
    iterations: z.number().int().min(1).max(10_000).default(100).describe("rounds of Dykstra's projections"),
    initScale: z.number().positive().default(0.1).describe("s of the gate's init, sigma = sqrt(s / D)"),
  }),
  expertsPerToken: ({ capacityFactor }) => capacityFactor,
  create({ D, E }, options, init) {
    const { cap } = options;
    const most = Math.max(options.capacityFactor, options.evaluationCapacityFactor);
    if (cap !== null && cap < most) {
      throw new RangeError(
        `Cannot make an expert-choice router: cap = ${cap} leaves no room for ${most} experts per token`,
      );
    }
    const gate_DE = init.parameter("gate", [D, E], truncatedNormal(Math.sqrt(options.initScale / D)));
    return {
      params: { gate: gate_DE },
      route(given_TD, { training, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        const sized = { ...options, dropOrder: "probability" as const };
        const C = Math.min(T, capacityOf(sized, { T, E, K: 1 }, training)); // equation 1
        const probability_TE = softmax(matmul(x_TD, gate_DE));
        const score_ET = transpose(probability_TE);
        const room = capacityOf(sized, { T, E, K: 1 }, training, real_T);
        const room_1 = typeof room === "number" ? tensor(x_TD.backend, [C], [1]) : room;
        const ranked_ET = rankable(score_ET, real_T);
        const plan_ET = cap === null ? ranked_ET : cappedPlan(ranked_ET, room_1, { ...options, cap });
        const slots = fillSlots(plan_ET, C, room_1); // equation 2
        return {
          ...slotAssignments(slots, takeAlong(score_ET, slots.token_EC)),
          losses: {},
          probability_TE,
        };
      },
    };
  },
};

/**
 * log A of section 3.3: A maximises <S, A> + lambda H(A) with rows that sum to C, columns that sum to `cap` at most, and
 * entries from 0 to 1; where S is -infinity, A is 0. Dykstra's algorithm with Kullback-Leibler projections from exp(S / lambda), in logarithms: what
 * a projection onto an inequality took away is given back before its next turn.
 */
export function cappedPlan(
  score_ET: Tensor,
  C_1: Tensor,
  { cap, lambda, iterations }: { cap: number; lambda: number; iterations: number },
): Tensor {
  const [E, T] = score_ET.shape;
  let plan_ET = affine(score_ET, 1 / lambda, 0);
  let column_T = tensor(score_ET.backend, new Float32Array(T), [T]);
  let box_ET = tensor(score_ET.backend, new Float32Array(E * T), [E, T]);
  for (let round = 0; round < iterations; round++) {
    using scope = memory(score_ET.backend);
    const before = [plan_ET, column_T, box_ET];
    const row_E1 = reshape(subtract(logsumexp(plan_ET), log(C_1)), [E, 1]);
    const open_ET = add(subtract(plan_ET, row_E1), column_T);
    const over_T = relu(affine(logsumexp(transpose(open_ET)), 1, -Math.log(cap)));
    const raised_ET = add(subtract(open_ET, over_T), box_ET);
    const above_ET = relu(raised_ET);
    plan_ET = scope.keep(subtract(raised_ET, above_ET));
    column_T = scope.keep(over_T);
    box_ET = scope.keep(above_ET);
    before.forEach(release);
  }
  return plan_ET;
}
