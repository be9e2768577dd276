// Strictly balanced gating (Shazeer et al. 2017, appendix F): in training each expert takes its best tokens of the batch, in
// evaluation those above a threshold of its own, learned meanwhile. Expert choice before expert choice, made causal where it
// is used.
import { add, affine, divide, greater, multiply, subtract } from "../../tensor/arithmetic.ts";
import { maximum } from "../../tensor/piecewise.ts";
import { sumAll, sumLast } from "../../tensor/reduce.ts";
import { putAlong, takeAlong, transpose, wholeNumbers } from "../../tensor/rows.ts";
import { type Parameter, reshape, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";
import { capacityOf, maskExperts } from "./capacity.ts";
import { fillSlots, rankable, slotAssignments } from "./expert_slots.ts";
import { realRows } from "./padding.ts";
import type { Routing } from "../router.ts";

/** Who goes where, and with what weight. */
export interface StrictChoice {
  readonly assignments: Omit<Routing, "losses" | "probability_TE">;
  /** G(x) of equation 16: gates over the experts that took a token, 0 elsewhere, f32 [T, E]. */
  readonly gate_TE: Tensor;
  /** M_batchwise of equation 18, f32 [T, E]; a constant. */
  readonly mask_TE: Tensor;
}

/** Equations 16 and 18: each expert takes the m = k |X| / n tokens with its largest gates. */
export function chooseBatchwise(softmax_TE: Tensor, k: number, real_T: Tensor | undefined): StrictChoice {
  const { backend, shape: [T, E] } = softmax_TE;
  const rule = {
    capacityRule: "expertchoice",
    capacityFactor: k,
    evaluationCapacityFactor: k,
    minimumCapacity: 1,
    dropOrder: "probability",
  } as const;
  const C = Math.min(T, capacityOf(rule, { T, E, K: 1 }, true));
  const room = capacityOf(rule, { T, E, K: 1 }, true, real_T);
  const room_1 = typeof room === "number" ? tensor(backend, [C], [1]) : room;
  const slots = fillSlots(rankable(transpose(softmax_TE), real_T), C, room_1);
  const mask_TE = transpose(putAlong(slots.taken_EC, slots.token_EC, T));
  const gate_TE = overTaken(softmax_TE, mask_TE);
  const weight_EC = takeAlong(transpose(gate_TE), slots.token_EC);
  return { assignments: slotAssignments(slots, weight_EC), gate_TE, mask_TE };
}

/** Equations 16 and 19: each expert takes the tokens whose gate is above its threshold; T E assignments, most of them -1. */
export function chooseByThreshold(
  softmax_TE: Tensor,
  threshold_E: Tensor,
  real_T: Tensor | undefined,
): StrictChoice {
  const [T, E] = softmax_TE.shape;
  const above_TE = greater(softmax_TE, threshold_E);
  const mask_TE = realRows(above_TE, real_T);
  const gate_TE = overTaken(softmax_TE, mask_TE);
  const every_N = wholeNumbers(mask_TE, [T * E], (n) => n % E);
  const expert_N = maskExperts(every_N, reshape(mask_TE, [T * E]));
  return {
    gate_TE,
    mask_TE,
    assignments: {
      token_N: wholeNumbers(mask_TE, [T * E], (n) => Math.floor(n / E)),
      expert_N,
      wanted_N: expert_N,
      weight_N: reshape(gate_TE, [T * E]),
      choices: null,
    },
  };
}

/**
 * Equation 20 over the number of real tokens: sum_ji (M_threshold - M_batchwise) (X_ji - T_i) / |X|, 0 where both masks
 * are the same and nowhere below. It teaches thresholds alone. Shape [1].
 */
export function batchwiseLoss(
  softmax_TE: Tensor,
  threshold_E: Parameter,
  mask_TE: Tensor,
  real_T: Tensor | undefined,
): Tensor {
  const { backend, shape: [T] } = softmax_TE;
  const x_TE = stopGradient(softmax_TE);
  const apart_TE = subtract(greater(x_TE, threshold_E), mask_TE);
  const counted_TE = realRows(apart_TE, real_T);
  const sum = sumAll(multiply(counted_TE, subtract(x_TE, threshold_E)));
  return real_T
    ? divide(sum, maximum(sumAll(real_T), tensor(backend, [1], [1])))
    : affine(sum, 1 / Math.max(1, T), 0);
}

/** Equation 16; all 0 for a token that no expert takes. */
function overTaken(softmax_TE: Tensor, mask_TE: Tensor): Tensor {
  const [T] = softmax_TE.shape;
  const taken_TE = multiply(softmax_TE, mask_TE);
  const isLeft_T = greater(affine(sumLast(mask_TE), -1, 0), tensor(mask_TE.backend, [-0.5], [1]));
  return divide(taken_TE, reshape(add(sumLast(taken_TE), isLeft_T), [T, 1]));
}
