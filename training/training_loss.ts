// What a training step differentiates: the tokens' loss, the losses that routers add, and for each router that samples the
// term that teaches it.
import type { Targets } from "../models/model.ts";
import type { Routing } from "../routers/router.ts";
import { add } from "../tensor/arithmetic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { scoreFunctionLoss } from "./score_function.ts";

/** What {@linkcode trainingLoss} adds up. What a model's `forward` gives is of this shape. */
export interface LossTerms {
  /** Mean loss of the tokens, shape [1]. */
  readonly loss?: Tensor;
  /** Loss of each token, f32 [T]: what a router that samples is judged by. */
  readonly loss_T?: Tensor;
  /** Tokens that have a loss. Absent = all. */
  readonly targets?: Targets;
  /** Losses of routers by name, already weighted, shape [1] each. */
  readonly losses: Readonly<Record<string, Tensor>>;
  /** What mixtures did: an MoE layer's output is one of them. */
  readonly layers: readonly { readonly routing: Pick<Routing, "estimator"> }[];
}

/**
 * The loss, plus routers' losses, plus {@linkcode scoreFunctionLoss} of every router that samples. Shape [1].
 * @throws {TypeError} when there is no loss, or a router samples and there is no loss of each token.
 * @example
 * ```ts
 * import { cpu, createInit, createMoeLayer, equalSequences, gradients, meanAll, memory, parseOptions } from "@switchyard/moe";
 * import { random, square, subtract, sumLast, swiglu, switchRouter, tensor } from "@switchyard/moe";
 * import { trainingLoss } from "@switchyard/moe/training";
 * import { assert } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const [T, D, F, E] = [8, 4, 8, 2];
 * const router = switchRouter.create({ D, E, V: 1 }, parseOptions(switchRouter), init.part("router"));
 * const experts = swiglu.create({ D, F, E }, swiglu.options.parse({}), init.part("experts"));
 * const layer = createMoeLayer({ D, E, router, experts });
 * {
 *   using _scope = memory(backend);
 *   const x_TD = tensor(backend, random(1).normal(T * D), [T, D]);
 *   const tokenId_T = tensor(backend, new Int32Array(T), [T]);
 *   const step = { training: true, step: 0, random: random(2), tokenId_T, sequences: equalSequences(1, T) };
 *   const moe = await layer.apply(x_TD, step);
 *   const loss_T = sumLast(square(subtract(moe.y_TD, x_TD)));
 *   const loss = trainingLoss({ loss: meanAll(loss_T), loss_T, losses: moe.routing.losses, layers: [moe] });
 *   const [toGate] = await gradients(loss, [layer.params["router.gate"]]);
 *   assert((await toGate!.read()).some((value) => value !== 0));
 * }
 * backend.close();
 * ```
 */
export function trainingLoss({ loss, loss_T, targets, losses, layers }: LossTerms): Tensor {
  if (!loss) throw new TypeError("Cannot train without a loss: give the batch targets");
  const sampled = layers.flatMap(({ routing }) => routing.estimator ?? []);
  if (sampled.length > 0 && !loss_T) {
    throw new TypeError("Cannot train a router that samples without the loss of each token: give loss_T");
  }
  const terms = sampled.map((estimator) => scoreFunctionLoss(loss_T!, estimator, targets));
  return [...Object.values(losses), ...terms].reduce(add, loss);
}
