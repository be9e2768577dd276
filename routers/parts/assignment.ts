// Balancing by construction: exact balanced assignment, Sinkhorn's soft one, Gumbel noise, and the importance weights that
// undo what balancing does to a sample. Derivations and what was checked: docs/decisions/balanced_sampling.md.
import * as kernels from "../../kernels/mod.ts";
import {
  add,
  affine,
  divide,
  exp,
  greater,
  log,
  multiply,
  subtract,
  toFloat,
} from "../../tensor/arithmetic.ts";
import { memory } from "../../tensor/memory.ts";
import { onHost } from "../../tensor/on_host.ts";
import { maximum } from "../../tensor/piecewise.ts";
import type { Random } from "../../tensor/random.ts";
import { logsumexp, softmax } from "../../tensor/reduce.ts";
import { take, takeAlong, wholeNumbers } from "../../tensor/rows.ts";
import { apply, differentiable, reshape, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";

/** Which tokens are balanced among themselves. */
export interface Balancing {
  /** Tokens s x scope to (s + 1) x scope - 1. */
  readonly scope: number;
  /** Padding takes no place. */
  readonly real_T?: Tensor | undefined;
}

/**
 * The assignment of highest total score in which loads of a scope differ by at most one: i32 [T], -1 for padding. Exact;
 * among equals the lowest experts for the first tokens. NaN and -infinity count as the least score. On WebGPU the scores
 * (and the mask, where there is one) are read once and solved on the host.
 */
export async function assignBalanced(score_TE: Tensor, { scope, real_T }: Balancing): Promise<Tensor> {
  const inputs = real_T ? [score_TE, real_T] : [score_TE];
  const [expert_T] = await onHost(inputs, (found) => apply(kernels.balancedAssignment, found, { scope }));
  return expert_T;
}

/**
 * The same with v_j - v_(z_i), f32 [T, E]: what the other tokens gain in total when token i, now with z_i, goes to j.
 * One read on WebGPU serves both.
 */
export async function matchBalanced(
  score_TE: Tensor,
  { scope, real_T }: Balancing,
): Promise<{ readonly expert_T: Tensor; readonly gain_TE: Tensor }> {
  const inputs = real_T ? [score_TE, real_T] : [score_TE];
  const [expert_T, gain_TE] = await onHost(inputs, (found) => {
    const [expert_T] = apply(kernels.balancedAssignment, found, { scope });
    return [expert_T, apply(kernels.exchangeGain, [found[0], expert_T], { scope })[0]];
  });
  return { expert_T, gain_TE };
}

/** Tokens of one of `groups` equal groups; 1 where there are no tokens. */
export function scopeOf(T: number, groups: number, router: string): number {
  if (T % groups === 0) return Math.max(1, T / groups);
  throw new RangeError(`Cannot route with ${router}: groups = ${groups} does not divide ${T} tokens`);
}

/** Independent standard Gumbel noise: -log(-log u), u uniform; u = 0 counts as half a step of the generator. */
export function gumbelNoise(like: Tensor, random: Random): Tensor {
  const [key0, key1] = random.split("gumbel").key;
  return apply(kernels.gumbel, [], { key0, key1, shape: like.shape }, like.backend)[0];
}

/**
 * Sinkhorn's balancing in the log domain: columns are scaled to equal sums and rows back to 1, `iterations` times. Returns
 * log probabilities [T, E] whose rows sum to 1 exactly and whose columns nearly balance; a constant. Adding a number per
 * expert is all it does, so the largest of a row is also that of the plan before its rows were scaled.
 */
export function balanceBySinkhorn(
  logit_TE: Tensor,
  { scope, real_T, iterations }: Balancing & { readonly iterations: number },
): Tensor {
  using inner = memory(logit_TE.backend);
  const [T] = logit_TE.shape;
  const start_TE = stopGradient(logit_TE);
  const least = tensor(logit_TE.backend, [1e-30], [1]);
  let price_SE: Tensor | undefined;
  const priced = () => price_SE ? subtract(start_TE, spread(price_SE, scope, T)) : start_TE;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const load_SE = sumByScope(softmax(priced()), { scope, real_T });
    // The target, tokens / E, is one number for all columns; scaling rows takes it out again.
    const excess_SE = log(maximum(load_SE, least));
    price_SE = price_SE ? add(price_SE, excess_SE) : excess_SE;
  }
  return inner.keep(logSoftmax(priced()));
}

/** Log probabilities of each row. */
export function logSoftmax(logit_TE: Tensor): Tensor {
  const total_T1 = reshape(logsumexp(stopGradient(logit_TE)), [logit_TE.shape[0], 1]);
  const y_TE = subtract(stopGradient(logit_TE), total_T1);
  return differentiable(y_TE, [[
    logit_TE,
    (gradient) => apply(kernels.logSoftmaxGradient, [y_TE, gradient], {})[0],
  ]]);
}

/** What {@linkcode matchingImportance} works on. */
export interface Matching extends Pick<Balancing, "real_T"> {
  /** The balanced assignment of log proposal plus Gumbel noise, and what {@linkcode matchBalanced} found besides. */
  readonly expert_T: Tensor;
  readonly gain_TE: Tensor;
  /** Distribution the noise was added to. */
  readonly logProposal_TE: Tensor;
  /** Distribution that is meant. */
  readonly logProbability_TE: Tensor;
}

/**
 * w_i = p_i(z_i) / q_i(z_i | G_-i), where q_i(j | G_-i) = p~_ij e^(v_j) / sum_l p~_il e^(v_l) is the chance of j given
 * everybody else's noise, and v_j the best total score of the others when i is with j: f32 [T], 0 for padding. Unbiased
 * for each token whatever the others' assignments are.
 */
export function matchingImportance(matching: Matching): Tensor {
  const { expert_T, gain_TE, real_T } = matching;
  const [T] = expert_T.shape;
  const logProposal_TE = stopGradient(matching.logProposal_TE);
  // The gain is v_j - v_(z_i), so the term of z_i itself is log p~.
  const normaliser_T = logsumexp(add(logProposal_TE, gain_TE));
  const expert_TK = reshape(expert_T, [T, 1]);
  const own = (x_TE: Tensor) => reshape(takeAlong(stopGradient(x_TE), expert_TK), [T]);
  const ratio_T = matching.logProposal_TE === matching.logProbability_TE
    ? normaliser_T
    : add(normaliser_T, subtract(own(matching.logProbability_TE), own(logProposal_TE)));
  const weight_T = exp(ratio_T);
  return real_T ? multiply(weight_T, real_T) : weight_T;
}

/**
 * w_i = [i was kept] max(1, n / c): n tokens of the scope wanted the expert of i and a uniformly random c of them were
 * kept, so that the mean of w_i over who is kept is 1. f32 [T], 0 for padding.
 */
export function skipImportance(
  choice: {
    readonly wanted_T: Tensor;
    readonly expert_T: Tensor;
    readonly E: number;
    /** Of every scope, or of each: f32 [scopes]. */
    readonly capacity: number | Tensor;
  },
  { scope }: Balancing,
): Tensor {
  const { wanted_T, expert_T, E, capacity } = choice;
  const [T] = wanted_T.shape;
  const wanted_TK = reshape(wanted_T, [T, 1]);
  const [chosen_TE] = apply(kernels.takeAlongGradient, [wanted_TK, ones(wanted_T, [T, 1])], { columns: E });
  const load_SE = sumByScope(chosen_TE, { scope });
  const [load_TK] = apply(kernels.takeAlong, [perToken(load_SE, scope, T), wanted_TK], {});
  const load_T = reshape(load_TK, [T]);
  const factor_T = typeof capacity === "number"
    ? affine(load_T, 1 / capacity, 0)
    : divide(load_T, perToken(capacity, scope, T));
  return multiply(keptMask(expert_T), maximum(factor_T, ones(wanted_T, [1])));
}

/** 1 where a token has an expert, else 0: f32 [T]. */
export function keptMask(expert_T: Tensor): Tensor {
  return greater(toFloat(expert_T), tensor(expert_T.backend, [-0.5], [1]));
}

/** Ones on the backend of `like`. */
export function ones(like: Tensor, shape: readonly number[]): Tensor {
  const length = shape.reduce((product, dimension) => product * dimension, 1);
  return tensor(like.backend, new Float32Array(length).fill(1), shape);
}

/** Column sums of each scope over its real tokens, [S, E]; a constant. */
function sumByScope(x_TE: Tensor, { scope, real_T }: Balancing): Tensor {
  const [T] = x_TE.shape;
  const row_N = wholeNumbers(x_TE, [T], (at) => at);
  const offset_O = wholeNumbers(x_TE, [Math.ceil(T / Math.max(1, scope)) + 1], (at) => at * scope);
  return real_T
    ? apply(kernels.combineRows, [x_TE, row_N, real_T, row_N, offset_O], { weighted: true })[0]
    : apply(kernels.combineRows, [x_TE, row_N, row_N, offset_O], {})[0];
}

/** What there is for each scope, for each of its tokens: [S, ...] -> [T, ...]. */
function perToken(x_S: Tensor, scope: number, T: number): Tensor {
  return take(x_S, wholeNumbers(x_S, [T], (t) => Math.floor(t / scope)));
}

/** The same for a row a scope, where one row for all will do. */
function spread(x_SE: Tensor, scope: number, T: number): Tensor {
  return scope === T && T > 0 ? reshape(x_SE, [x_SE.shape[1]]) : perToken(x_SE, scope, T);
}
