// What most routers start with: a linear gate in f32, jitter on its input, and choices laid out as assignments.
import * as kernels from "../../kernels/mod.ts";
import { affine, divide, sqrt, square } from "../../tensor/arithmetic.ts";
import type { Random } from "../../tensor/random.ts";
import { sumFirst, sumLast } from "../../tensor/reduce.ts";
import { wholeNumbers } from "../../tensor/rows.ts";
import { apply, differentiable, reshape, type Tensor } from "../../tensor/tensor.ts";
import type { Routing } from "../router.ts";

/**
 * x times noise uniform in [1 - epsilon, 1 + epsilon) (Switch Transformer, appendix C: input jitter).
 * @example
 * ```ts
 * import { cpu, jitter, random, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const noisy = await jitter(tensor(backend, new Float32Array(100).fill(1), [10, 10]), 0.25, random(0)).read();
 * assertEquals(noisy.every((value) => value >= 0.75 && value <= 1.25), true);
 * backend.close();
 * ```
 */
export function jitter(x_TD: Tensor, epsilon: number, random: Random): Tensor {
  const [key0, key1] = random.split("jitter").key;
  const [y_TD, noise_TD] = apply(kernels.jitter, [x_TD], { key0, key1, epsilon });
  return differentiable(y_TD, [[
    x_TD,
    (gradient) => apply(kernels.binary, [gradient, noise_TD], { op: "multiply" })[0],
  ]]);
}

/**
 * Rows scaled to length 1: x / sqrt(sum x^2 + epsilon).
 * @example
 * ```ts
 * import { cpu, tensor, unitRows } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y_TD = unitRows(tensor(backend, [3, 4, 0, 0], [2, 2]), 1e-30);
 * assertEquals(await y_TD.read(), Float32Array.of(3 / 5, 4 / 5, 0, 0));
 * backend.close();
 * ```
 */
export function unitRows(x_TD: Tensor, epsilon: number): Tensor {
  const [T] = x_TD.shape;
  return divide(x_TD, reshape(sqrt(affine(sumLast(square(x_TD)), 1, epsilon)), [T, 1]));
}

/**
 * Columns scaled to length 1: w / sqrt(sum w^2 + epsilon).
 * @example
 * ```ts
 * import { cpu, tensor, unitColumns } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const w_DE = unitColumns(tensor(backend, [3, 0, 4, 0], [2, 2]), 1e-30);
 * assertEquals(await w_DE.read(), Float32Array.of(3 / 5, 0, 4 / 5, 0));
 * backend.close();
 * ```
 */
export function unitColumns(w_DE: Tensor, epsilon: number): Tensor {
  return divide(w_DE, sqrt(affine(sumFirst(square(w_DE)), 1, epsilon)));
}

/**
 * Choices of every token, [T, K] each, as a {@linkcode Routing}: N = T K assignments, token-major.
 * @example
 * ```ts
 * import { cpu, tensor, tokenChoice } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const wanted_TK = tensor(backend, Int32Array.of(2, 0, 1, 2), [2, 2]);
 * const weight_TK = tensor(backend, [0.6, 0.4, 0.9, 0.1], [2, 2]);
 * const routing = tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, { losses: {} });
 * assertEquals(await routing.token_N.read(), Int32Array.of(0, 0, 1, 1));
 * assertEquals(routing.choices, 2);
 * backend.close();
 * ```
 */
export function tokenChoice(
  choices: { wanted_TK: Tensor; expert_TK: Tensor; weight_TK: Tensor },
  rest: Pick<Routing, "losses" | "scalars" | "probability_TE">,
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
