// Losses that shape routing. Systems normalise the balance loss differently (a balanced router reads 1, K or 1/E^2),
// so the convention is an option with a name. All of them leave padding out, and means over scopes leave out scopes of
// padding alone.
import { affine, divide, greater, square, subtract } from "../../tensor/arithmetic.ts";
import { maximum } from "../../tensor/piecewise.ts";
import { meanAll, sumAll, sumLast } from "../../tensor/reduce.ts";
import { embedding, take } from "../../tensor/rows.ts";
import { areEqual, paddedPlaces, type Sequences } from "../../tensor/sequences.ts";
import * as kernels from "../../kernels/mod.ts";
import { apply, differentiable, reshape, type Tensor, tensor } from "../../tensor/tensor.ts";

/**
 * Which choices the balance loss counts, and what a balanced router reads:
 * `first` counts first choices (Switch, GShard, Tutel, DeepSpeed top-2): 1;
 * `all` counts all K choices (Flaxformer, Hugging Face Mixtral): K;
 * `all-mean` counts all and divides by K (Megatron, DeepSpeed top-k): 1.
 */
export type BalanceCounts = "first" | "all" | "all-mean";

/** What {@linkcode balanceLoss} works on. */
export interface BalanceTerms {
  /** The router's distribution over experts, f32 [T, E]; carries the gradient. */
  readonly probability_TE: Tensor;
  /** Choices before capacity, i32 [T, K]; -1 counts nowhere. */
  readonly wanted_TK: Tensor;
  /** Which choices are counted. */
  readonly counts: BalanceCounts;
  /**
   * Tokens of one scope, which divide T, or sequences, each a scope of its own. The loss is the mean over scopes that have
   * real tokens.
   */
  readonly scope: number | Sequences;
  /** Padding mask, f32 [T]: 1 = a real token, 0 = padding. Absent = all real. */
  readonly real_T?: Tensor | undefined;
  /** Multiplies the loss; 1 unless said otherwise. */
  readonly weight?: number;
}

/**
 * E sum_e f_e P_e per scope, averaged over scopes: f_e the share of tokens that chose e (a constant), P_e the mean
 * probability of e (Switch Transformer, equations 4 to 6, without alpha). Shape [1].
 * @example
 * ```ts
 * import { balanceLoss, cpu, scalar, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const loss = balanceLoss({
 *   probability_TE: tensor(backend, [0.75, 0.25, 0.25, 0.75], [2, 2]),
 *   wanted_TK: tensor(backend, Int32Array.of(0, 1), [2, 1]),
 *   counts: "first",
 *   scope: 2,
 * });
 * assertEquals(await scalar(loss), 1); // balanced
 * backend.close();
 * ```
 */
export function balanceLoss(terms: BalanceTerms): Tensor {
  const { probability_TE, wanted_TK, counts, weight = 1 } = terms;
  const E = probability_TE.shape[1];
  const K = wanted_TK.shape[1];
  const scale = weight * E / (counts === "all-mean" ? K : 1);
  return lossOfShares({ ...terms, weight: scale }, wanted_TK, { choices: counts === "first" ? 1 : K });
}

/**
 * sum_e f_e P_e per scope, averaged over scopes: f_e the mean of `chosen_TE` (a constant), P_e that of `probability_TE`.
 * Shape [1].
 * @example
 * ```ts
 * import { cpu, scalar, shareLoss, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const probability_TE = tensor(backend, [0.75, 0.25, 0.25, 0.75], [2, 2]);
 * const chosen_TE = tensor(backend, [1, 0, 0, 1], [2, 2]);
 * assertEquals(await scalar(shareLoss({ probability_TE, chosen_TE, scope: 2 })), 0.5); // 1 / E: balanced
 * backend.close();
 * ```
 */
export function shareLoss(
  terms: Omit<BalanceTerms, "wanted_TK" | "counts"> & { readonly chosen_TE: Tensor },
): Tensor {
  return lossOfShares(terms, terms.chosen_TE, {});
}

/** Scopes side by side, all of one size. */
interface Scopes {
  readonly probability_TE: Tensor;
  readonly chosen: Tensor;
  readonly size: number;
  /** 1 = a real token of its scope. Absent = all are. */
  readonly real_T: Tensor | undefined;
  /** Scopes that the mean is taken over, where the host knows it. */
  readonly counted: number | null;
}

function scopesOf(
  { probability_TE, scope, real_T }: Pick<BalanceTerms, "probability_TE" | "scope" | "real_T">,
  chosen: Tensor,
): Scopes {
  const size = typeof scope === "number" ? scope : scope.longest;
  if (typeof scope === "number" || areEqual(scope)) {
    const scopes = size === 0 ? 0 : probability_TE.shape[0] / size;
    // One scope of padding alone gives 0 by itself.
    return { probability_TE, chosen, size, real_T, counted: real_T && scopes > 1 ? null : scopes };
  }
  const { backend } = probability_TE;
  const places = paddedPlaces(scope);
  const token_P = tensor(backend, places, [places.length]);
  const inside = () => tensor(backend, Float32Array.from(places, (t) => t < 0 ? 0 : 1), [places.length]);
  return {
    probability_TE: embedding(probability_TE, token_P),
    chosen: take(chosen, token_P),
    size,
    real_T: real_T ? take(real_T, token_P) : inside(),
    counted: real_T ? null : scope.length_B.filter((length) => length > 0).length,
  };
}

/** @param chosen Shares, f32 [T, E], or with `choices` the experts that tokens chose, i32 [T, K]. */
function lossOfShares(
  terms: Omit<BalanceTerms, "wanted_TK" | "counts">,
  chosen: Tensor,
  choices: { readonly choices?: number },
): Tensor {
  const { weight = 1 } = terms;
  const { probability_TE, chosen: laid, size, real_T, counted } = scopesOf(terms, chosen);
  const mask = real_T ? [real_T] : [];
  const scope = Math.max(1, size);
  const [loss_S, slope_SE] = apply(kernels.shareLoss, [probability_TE, laid, ...mask], {
    scope,
    scale: weight / Math.max(1, counted ?? 1),
    ...choices,
  });
  const loss = differentiable(loss_S, [[
    probability_TE,
    (gradient_S) => apply(kernels.shareLossGradient, [slope_SE, gradient_S, ...mask], { scope })[0],
  ]]);
  const [S] = loss.shape;
  const total = S === 1 ? loss : sumAll(loss);
  if (counted !== null) return total;
  const zero = tensor(total.backend, [0], [1]);
  const scopes = sumAll(greater(sumLast(reshape(real_T!, [S, scope])), zero));
  return divide(total, maximum(scopes, tensor(total.backend, [1], [1])));
}

/**
 * How often each token's first `choices` choices name an expert, f32 [T, E]; a constant.
 * @example
 * ```ts
 * import { chosenCounts, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const wanted_TK = tensor(backend, Int32Array.of(2, 0, 1, -1), [2, 2]);
 * assertEquals(await chosenCounts(wanted_TK, 3, 2).read(), Float32Array.of(1, 0, 1, 0, 1, 0));
 * backend.close();
 * ```
 */
export function chosenCounts(wanted_TK: Tensor, E: number, choices: number): Tensor {
  const [T, K] = wanted_TK.shape;
  const counted = Float32Array.from({ length: T * K }, (_, at) => at % K < choices ? 1 : 0);
  return apply(kernels.takeAlongGradient, [wanted_TK, tensor(wanted_TK.backend, counted, [T, K])], {
    columns: E,
  })[0];
}

/**
 * Mean over real tokens of (log sum exp of the router logits)^2 (ST-MoE, equation 5, without its coefficient).
 * Shape [1].
 * @param real_T f32 [T]: 1 = a real token, 0 = padding; undefined = all real.
 * @param weight Multiplies the loss.
 * @example
 * ```ts
 * import { cpu, scalar, tensor, zLoss } from "@switchyard/moe";
 * import { assertAlmostEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const logit_TE = tensor(backend, [0, 0, 0, 0], [2, 2]);
 * assertAlmostEquals(await scalar(zLoss(logit_TE)), Math.log(2) ** 2, 1e-6);
 * backend.close();
 * ```
 */
export function zLoss(logit_TE: Tensor, real_T?: Tensor, weight = 1): Tensor {
  const mask = real_T ? [real_T] : [];
  const [sum_T] = apply(kernels.logsumexp, [logit_TE], {});
  const [loss, slope] = apply(kernels.zLoss, [sum_T, ...mask], { scale: weight });
  return differentiable(loss, [[
    logit_TE,
    (gradient) => apply(kernels.zLossGradient, [logit_TE, sum_T, slope, gradient, ...mask], {})[0],
  ]]);
}

/**
 * Squared coefficient of variation, variance / (mean^2 + 1e-10) (Shazeer et al. 2017, section 4): 0 when even. The
 * variance divides by E (`population`; V-MoE) or by E - 1 (`sample`; Tutel). Shape [1].
 * @example
 * ```ts
 * import { cpu, scalar, squaredVariation, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const load_E = tensor(backend, [1, 3], [2]);
 * assertEquals(await scalar(squaredVariation(load_E, "population")), 0.25);
 * assertEquals(await scalar(squaredVariation(load_E, "sample")), 0.5);
 * backend.close();
 * ```
 */
export function squaredVariation(value_E: Tensor, variance: "population" | "sample"): Tensor {
  const [E] = value_E.shape;
  const mean = meanAll(value_E);
  const terms = variance === "population" ? E : Math.max(1, E - 1);
  const spread = affine(sumAll(square(subtract(value_E, mean))), 1 / terms, 0);
  return divide(spread, affine(square(mean), 1, 1e-10));
}
