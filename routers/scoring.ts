// What most routers start with: a linear gate in f32, jitter on its input, and choices laid out as assignments.
import * as kernels from "../kernels/mod.ts";
import { affine, divide, multiply, sqrt, square } from "../tensor/arithmetic.ts";
import type { Random } from "../tensor/random.ts";
import { sumFirst, sumLast } from "../tensor/reduce.ts";
import { wholeNumbers } from "../tensor/rows.ts";
import { apply, reshape, type Tensor } from "../tensor/tensor.ts";
import type { Routing } from "./router.ts";

/** x times noise uniform in [1 - epsilon, 1 + epsilon) (Switch Transformer, appendix C: input jitter). */
export function jitter(x_TD: Tensor, epsilon: number, random: Random): Tensor {
  const [key0, key1] = random.split("jitter").key;
  const [noise] = apply(kernels.uniform, [], { key0, key1, shape: x_TD.shape }, x_TD.backend);
  return multiply(x_TD, affine(noise, 2 * epsilon, 1 - epsilon));
}

/** Rows scaled to length 1: x / sqrt(sum x^2 + epsilon). */
export function unitRows(x_TD: Tensor, epsilon: number): Tensor {
  const [T] = x_TD.shape;
  return divide(x_TD, reshape(sqrt(affine(sumLast(square(x_TD)), 1, epsilon)), [T, 1]));
}

/** Columns scaled to length 1: w / sqrt(sum w^2 + epsilon). */
export function unitColumns(w_DE: Tensor, epsilon: number): Tensor {
  return divide(w_DE, sqrt(affine(sumFirst(square(w_DE)), 1, epsilon)));
}

/** Choices of every token as a {@linkcode Routing}: N = T K assignments, token-major. */
export function tokenChoice(
  choices: { wanted_TK: Tensor; expert_TK: Tensor; weight_TK: Tensor },
  rest: Pick<Routing, "losses"> & { probability_TE?: Tensor },
): Routing {
  const [T, K] = choices.wanted_TK.shape;
  return {
    token_N: wholeNumbers(choices.wanted_TK, [T * K], (at) => Math.floor(at / K)),
    expert_N: reshape(choices.expert_TK, [T * K]),
    wanted_N: reshape(choices.wanted_TK, [T * K]),
    weight_N: reshape(choices.weight_TK, [T * K]),
    choices: K,
    ...rest,
  };
}
