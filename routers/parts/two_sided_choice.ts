// The expert side of LocMoE+: of the tokens in front of it, an expert keeps the best until they hold a share tau of the
// affinity, never fewer than the lower bound asks for and never more than its capacity.
import * as kernels from "../../kernels/mod.ts";
import { add, affine, divide, exp, greater, multiply, subtract, toFloat } from "../../tensor/arithmetic.ts";
import { sumLast } from "../../tensor/reduce.ts";
import { take, takeAlong, topK, transpose, wholeNumbers } from "../../tensor/rows.ts";
import { apply, reshape, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";
import { maskExperts } from "./capacity.ts";

/** How many an expert keeps. */
export interface KeepRule {
  /** tau; null keeps up to the capacity. */
  readonly threshold: number | null;
  /** C_min, f32 [1], not rounded: an expert keeps every token whose rank is below it, up to `most`. */
  readonly least: Tensor;
  /** C_max of every scope, or of each: f32 [scopes]. */
  readonly most: number | Tensor;
}

/**
 * Token choice, then expert choice among those who chose it (LocMoE+, equations 5 and 6): the wanted experts [T, K]
 * with -1 where the expert did not keep the token.
 * @param affinity_TK Affinity of each choice. @param scope Tokens ranked together.
 */
export function keepMutual(
  wanted_TK: Tensor,
  affinity_TK: Tensor,
  { E, scope, rule }: { readonly E: number; readonly scope: number; readonly rule: KeepRule },
): Tensor {
  const params = { groups: E, scope, choiceMajor: false };
  const affinity = stopGradient(affinity_TK);
  const [rank_TK] = apply(kernels.rankInGroup, [wanted_TK, affinity], params);
  const count_TK = countToShare([wanted_TK, rank_TK, affinity], { groups: E, scope }, rule);
  return keptOf(wanted_TK, rank_TK, count_TK, scope, rule);
}

/** What experts take when they alone choose. */
export interface ExpertChoice {
  /** Token of each slot, i32 [E, C], best first. */
  readonly token_EC: Tensor;
  /** Expert of each slot, or -1 where it is free. */
  readonly expert_EC: Tensor;
}

/** Expert choice among all real tokens, by affinity [T, E], in C slots each; ties to the earlier token. */
export function chooseTokens(affinity_TE: Tensor, C: number, rule: KeepRule, real_T?: Tensor): ExpertChoice {
  const [T, E] = affinity_TE.shape;
  const like = affinity_TE;
  const real_ET = real_T
    ? add(transpose(stopGradient(affinity_TE)), affine(real_T, FAR, -FAR))
    : transpose(stopGradient(affinity_TE));
  // A threshold is a share of what all tokens offer; without one the best C are enough.
  const S = rule.threshold === null ? C : T;
  const ranked = topK(real_ET, S);
  const every_ES = wholeNumbers(like, [E, S], (at) => Math.floor(at / S));
  const expert_ES = real_T ? maskExperts(every_ES, isReal(ranked.value_TK)) : every_ES;
  const rank_ES = wholeNumbers(like, [E, S], (at) => at % S);
  const count_ES = countToShare([expert_ES, rank_ES, ranked.value_TK], { groups: E, scope: E }, rule);
  // From here on the best C are all there is.
  const slot_N = wholeNumbers(like, [E * C], (at) => Math.floor(at / C) * S + at % C);
  const slots = (x_ES: Tensor) => S === C ? x_ES : reshape(take(reshape(x_ES, [E * S]), slot_N), [E, C]);
  const expert_EC = keptOf(slots(expert_ES), slots(rank_ES), count_ES && slots(count_ES), E, rule);
  return { token_EC: slots(ranked.index_TK), expert_EC };
}

/** 0 where a cosine was put out of reach. */
function isReal(value_ES: Tensor): Tensor {
  return greater(value_ES, tensor(value_ES.backend, [-FAR / 2], [1]));
}

/** Further from any cosine than cosines are from each other, but small enough to leave padding in order. */
const FAR = 1e6;

/** How many of each entry's group hold its share of the affinity, i32 of the same shape; null without a threshold. */
function countToShare(
  entries: readonly [key: Tensor, rank: Tensor, affinity: Tensor],
  params: { readonly groups: number; readonly scope: number },
  { threshold }: KeepRule,
): Tensor | null {
  return threshold === null ? null : apply(kernels.countToShare, entries, { ...params, share: threshold })[0];
}

/** Groups of entries that are kept, -1 for those ranked at or behind min(most, max(count, least)). */
function keptOf(
  key_TK: Tensor,
  rank_TK: Tensor,
  count_TK: Tensor | null,
  scope: number,
  { least, most }: KeepRule,
): Tensor {
  const capacity = typeof most === "number" ? { most } : {};
  const inputs = [key_TK, rank_TK, ...(typeof most === "number" ? [] : [most])];
  if (!count_TK) return apply(kernels.keepRanked, inputs, { scope, ...capacity })[0];
  return apply(kernels.keepRanked, [...inputs, count_TK, least], { scope, ...capacity, counted: true })[0];
}

/** A weight for each slot of an {@linkcode ExpertChoice} from weights [T, E], with gradient. */
export function weightOfSlots(weight_TE: Tensor, { token_EC }: ExpertChoice): Tensor {
  return takeAlong(transpose(weight_TE), token_EC);
}

/** 1 where an expert kept a token, [T, E], from an {@linkcode ExpertChoice}. */
export function keptByExperts({ token_EC, expert_EC }: ExpertChoice, T: number): Tensor {
  const free =
    apply(kernels.binary, [affine(toFloat(expert_EC), -1, 0), tensor(token_EC.backend, [0], [1])], {
      op: "greater",
    })[0];
  const [kept_ET] = apply(kernels.takeAlongGradient, [token_EC, affine(free, -1, 1)], { columns: T });
  return transpose(kept_ET);
}

/** Softmax of scores [T, K] over the entries whose mask is 1; rows without any give 0. */
export function softmaxOver(score_TK: Tensor, mask_TK: Tensor): Tensor {
  const [T] = score_TK.shape;
  const { value_TK } = topK(stopGradient(score_TK), 1);
  const part_TK = multiply(exp(subtract(score_TK, reshape(value_TK, [T, 1]))), mask_TK);
  const sum_T = affine(sumLast(part_TK), 1, 1e-30);
  return divide(part_TK, reshape(sum_T, [T, 1]));
}
