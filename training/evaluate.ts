// Validation: mean cross-entropy over held-out text, and, on request, what experts took on.
import type { LanguageModel } from "../models/language_model.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import type { ValidationBatch } from "./batches.ts";
import type { Dataset } from "./dataset.ts";
import type { Specialisation } from "./record.ts";
import { countSpecialisation, type SpecialisationCounter } from "./specialisation.ts";

/** Result of a pass over validation text. */
export interface Evaluation {
  /** Mean cross-entropy per token, nats. */
  readonly loss: number;
  readonly perplexity: number;
  /** Tokens the mean is taken over: those with a target. */
  readonly tokens: number;
}

/** A result with what experts took on, per MoE layer. */
export interface DetailedEvaluation extends Evaluation {
  readonly specialisation: readonly Specialisation[];
}

/**
 * Evaluates a model on some batches, without noise.
 * @param step Steps of training the model has behind it.
 * @example
 * ```ts
 * import { cpu, createInit, createLanguageModel, findSize, random, switchRouter } from "@switchyard/moe";
 * import { evaluate, parsePlainText, prepare, validationBatches } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const dataset = prepare(parsePlainText("A cat sat. ".repeat(200), "cats"), { vocabulary: 100 });
 * const [size, V] = [findSize("tiny"), dataset.vocabulary.size];
 * const plan = { size, V, tokenCount_V: dataset.countByToken, router: switchRouter, routerOptions: {} };
 * const model = createLanguageModel(plan, createInit(backend, random(0)));
 * const found = await evaluate(model, validationBatches(dataset, size));
 * assertEquals([found.tokens, found.perplexity], [96, Math.exp(found.loss)]);
 * backend.close();
 * ```
 */
export async function evaluate(
  model: LanguageModel,
  batches: readonly ValidationBatch[],
  step = 0,
): Promise<Evaluation> {
  return await pass(model, batches, step, () => Promise.resolve());
}

/**
 * The same, counting experts by word, part of speech and genre.
 * @param dataset Where the batches are from.
 * @example
 * ```ts
 * import { cpu, createInit, createLanguageModel, findSize, random, switchRouter } from "@switchyard/moe";
 * import { evaluateInDetail, parsePlainText, prepare, validationBatches } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const dataset = prepare(parsePlainText("A cat sat. ".repeat(200), "cats"), { vocabulary: 100 });
 * const [size, V] = [findSize("tiny"), dataset.vocabulary.size];
 * const plan = { size, V, tokenCount_V: dataset.countByToken, router: switchRouter, routerOptions: {} };
 * const model = createLanguageModel(plan, createInit(backend, random(0)));
 * const found = await evaluateInDetail(model, validationBatches(dataset, size), dataset);
 * assertEquals(found.specialisation.map(({ layer, words }) => [layer, words.length]), [[1, size.experts]]);
 * backend.close();
 * ```
 */
export async function evaluateInDetail(
  model: LanguageModel,
  batches: readonly ValidationBatch[],
  dataset: Dataset,
  step = 0,
): Promise<DetailedEvaluation> {
  const counters = new Map<number, SpecialisationCounter>();
  const found = await pass(model, batches, step, async (batch, layers) => {
    const read = await Promise.all(
      layers.map(({ routing: { token_N, expert_N } }) => Promise.all([token_N.read(), expert_N.read()])),
    );
    layers.forEach(({ layer }, at) => {
      const counter = counters.get(layer) ?? countSpecialisation(layer, model.cut.E, dataset);
      counters.set(layer, counter);
      const [token_N, expert_N] = read[at] as Int32Array[];
      counter.add({ ...batch, token_N, expert_N });
    });
  });
  return { ...found, specialisation: [...counters.values()].map((counter) => counter.finish()) };
}

type Layers = Awaited<ReturnType<LanguageModel["forward"]>>["layers"];

async function pass(
  model: LanguageModel,
  batches: readonly ValidationBatch[],
  step: number,
  look: (batch: ValidationBatch, layers: Layers) => Promise<void>,
): Promise<Evaluation> {
  let total = 0;
  let tokens = 0;
  for (const batch of batches) {
    using _scope = memory();
    const { tokenId, target, windows } = batch;
    const sequences = equalSequences(windows, tokenId.length / windows);
    const inputs = { tokenId_T: tokenId, target_T: target, sequences };
    const output = await model.forward(inputs, { training: false, step, random: random(0) });
    const [loss] = await Promise.all([scalar(output.loss), look(batch, output.layers)]);
    total += output.targets.count * loss;
    tokens += output.targets.count;
  }
  const loss = total / tokens;
  return { loss, perplexity: Math.exp(loss), tokens };
}
