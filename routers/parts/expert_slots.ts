// Experts that choose their tokens: slots filled with the best-ranked, padding and tokens without a score behind all others.
import { add, greater, multiply, where } from "../../tensor/arithmetic.ts";
import { topK, wholeNumbers } from "../../tensor/rows.ts";
import { reshape, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";
import type { Routing } from "../router.ts";

/** Tokens of C slots an expert, best first. */
export interface Slots {
  /** i32 [E, C]. */
  readonly token_EC: Tensor;
  /** f32 [E, C]: 1 = taken; 0 = no token is left, or there is no room. */
  readonly taken_EC: Tensor;
}

/** Scores [E, T] to rank by: -infinity for padding and NaN; a constant. */
export function rankable(score_ET: Tensor, real_T: Tensor | undefined): Tensor {
  const { backend, shape: [E, T] } = score_ET;
  const scored_ET = greater(score_ET, tensor(backend, [-1], [1]));
  const present_ET = real_T ? multiply(scored_ET, real_T) : scored_ET;
  const last_ET = tensor(backend, new Float32Array(E * T).fill(-Infinity), [E, T]);
  return where(present_ET, stopGradient(score_ET), last_ET);
}

/**
 * The C best of each row, ties to the earlier token.
 * @param room_1 How many of an expert's slots may be taken, f32 [1]: fewer than C when there is padding.
 */
export function fillSlots(rank_ET: Tensor, C: number, room_1: Tensor): Slots {
  const { backend, shape: [E] } = rank_ET;
  const { value_TK: best_EC, index_TK: token_EC } = topK(rank_ET, C);
  const place_EC = tensor(backend, Float32Array.from({ length: E * C }, (_, n) => -(n % C)), [E, C]);
  const inside_EC = greater(add(place_EC, room_1), tensor(backend, [0.5], [1]));
  const present_EC = greater(best_EC, tensor(backend, [-3e38], [1]));
  return { token_EC, taken_EC: multiply(inside_EC, present_EC) };
}

/** Slots as assignments, expert-major: N = E C. */
export function slotAssignments(
  { token_EC, taken_EC }: Slots,
  weight_EC: Tensor,
): Omit<Routing, "losses" | "probability_TE"> {
  const [E, C] = token_EC.shape;
  const N = E * C;
  const expert_N = wholeNumbers(token_EC, [N], (n) => Math.floor(n / C));
  const none_N = wholeNumbers(token_EC, [N], () => -1);
  const taken_N = where(reshape(taken_EC, [N]), expert_N, none_N);
  return {
    token_N: reshape(token_EC, [N]),
    expert_N: taken_N,
    wanted_N: taken_N,
    weight_N: reshape(weight_EC, [N]),
    choices: null,
  };
}
