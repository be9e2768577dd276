// Whether a trained model's routing sees the future: later tokens are changed, and earlier tokens must keep their experts
// and their losses. What a router declares depends on its options; this does not.
import type { Backend } from "../kernels/kernel.ts";
import type { Model } from "../models/model.ts";
import { moeLayers, rowsOf } from "../models/spec.ts";
import { traitsOf } from "../routers/registry.ts";
import type { EvaluationExamples } from "../tasks/task.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { checkAssignments } from "./contract.ts";
import { batchOf } from "./evaluate.ts";

/**
 * Says what is wrong with a model that sees later tokens, unless one of its routers declares that it may.
 * @param step Steps of training the model has behind it.
 * @throws {RangeError} naming the router.
 */
export function refuseLeak(model: Model, step: number): void {
  const mixtures = moeLayers(model.spec);
  if (!mixtures.every(({ moe: { router, routerOptions } }) => traitsOf(router, routerOptions).causal)) return;
  const names = [...new Set(mixtures.map(({ moe }) => `"${moe.router.name}"`))].join(", ");
  throw new RangeError(
    `Cannot go on with router ${names}: after ${step} steps a later token changes what an earlier one gets, and it ` +
      "declares to be causal; correct causal",
  );
}

/** What is tried. */
export interface CausalityTest {
  readonly backend: Backend;
  readonly examples: EvaluationExamples;
  /** Steps of training the model has behind it. */
  readonly step: number;
}

/** Losses of one token may differ by rounding, since rows meet other rows in a product. */
const RELATIVE_ROUNDING = 1e-4;

/**
 * True when changing the second half of the tokens of a batch changes an expert or the loss of a token in the first half.
 * Sequences lie end to end, so this finds both what reaches across sequences and what reaches back in one.
 */
export async function seesLaterTokens(
  model: Model,
  { backend, examples, step }: CausalityTest,
): Promise<boolean> {
  const T = examples.tokenId.length;
  const [length] = examples.lengths;
  // In the middle of a sequence in the middle of the batch, so that both kinds of scope can show.
  const half = Math.floor(Math.floor(T / length) / 2) * length + Math.floor(length / 2);
  const V = rowsOf(model.spec.input);
  const changedId = examples.tokenId.map((id, t) => t < half || V < 2 ? id : (id + 1 + t % (V - 1)) % V);
  const before = await passOver(model, backend, examples, half, step);
  const after = await passOver(model, backend, { ...examples, tokenId: changedId }, half, step);
  const moved = before.experts.some((expert, at) => expert !== after.experts[at]);
  const changed = before.losses.some((loss, t) =>
    Math.abs(loss - after.losses[t]) > RELATIVE_ROUNDING * Math.max(1, Math.abs(loss))
  );
  return moved || changed;
}

async function passOver(
  model: Model,
  backend: Backend,
  examples: EvaluationExamples,
  half: number,
  step: number,
): Promise<{ experts: number[]; losses: number[] }> {
  using _scope = memory(backend);
  const { loss_T, layers } = await model.forward(batchOf(examples), {
    training: false,
    step,
    random: random(0),
    backend,
  });
  const [losses, ...routed] = await Promise.all([
    loss_T!.read(),
    ...layers.map(async ({ layer, routing }) => {
      const { token_N, expert_N } = routing;
      const [token, expert] = await Promise.all([token_N.read(), expert_N.read()]) as Int32Array[];
      // What is no routing at all would pass for one that looks ahead.
      const { moe: spec } = moeLayers(model.spec).find(({ at }) => at === layer)!;
      const T = examples.tokenId.length;
      checkAssignments({ layer, spec, routing, T, token_N: token, wanted_N: expert, expert_N: expert });
      // By token and expert, since assignments of other layouts may change places.
      return [...token].flatMap((t, n) => t < half && expert[n] >= 0 ? [t * 65536 + expert[n]] : []).sort((
        a,
        b,
      ) => a - b);
    }),
  ]);
  return { experts: routed.flat(), losses: [...losses].slice(0, half) };
}
