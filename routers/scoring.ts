// What most routers start with: a linear gate in f32, jitter on its input, and choices laid out as assignments.
import * as kernels from "../kernels/mod.ts";
import { affine, multiply } from "../tensor/arithmetic.ts";
import type { Random } from "../tensor/random.ts";
import { wholeNumbers } from "../tensor/rows.ts";
import { apply, reshape, type Tensor } from "../tensor/tensor.ts";
import type { Routing } from "./router.ts";

/** x times noise uniform in [1 - epsilon, 1 + epsilon) (Switch Transformer, appendix C: input jitter). */
export function jitter(x_TD: Tensor, epsilon: number, random: Random): Tensor {
  const [key0, key1] = random.split("jitter").key;
  const [noise] = apply(kernels.uniform, [], { key0, key1, shape: x_TD.shape }, x_TD.backend);
  return multiply(x_TD, affine(noise, 2 * epsilon, 1 - epsilon));
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
