// Evaluation on held-out examples, without noise: the mean loss, how layers loaded their experts, and, on request, what
// experts took on and how much a mixture adds to what it reads. Every point of a run sees the same examples.
import type { Backend } from "../kernels/kernel.ts";
import type { Batch, LayerOutput, Model, ModelOutput } from "../models/model.ts";
import { loadOf } from "../moe/load.ts";
import type { EvaluationExamples, Examples, TaskData } from "../tasks/task.ts";
import { square, subtract } from "../tensor/arithmetic.ts";
import { joined } from "../tensor/joined.ts";
import { topK } from "../tensor/rows.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { meanAll, scalar } from "../tensor/reduce.ts";
import { pass } from "../tensor/stage.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import type { RunConfig } from "./config.ts";
import { countAnswers } from "./answers.ts";
import type { Answers, LayerLoad, Specialisation } from "./record.ts";
import { countSpecialisation, type SpecialisationCounter } from "./specialisation.ts";

/** Result of a pass over held-out examples. */
export interface Evaluation {
  /** Mean loss of tokens with a target, nats or squared error. */
  readonly loss: number;
  /** exp(loss); what it says of a squared error is nothing. */
  readonly perplexity: number;
  /** Tokens the mean is taken over: those with a target. */
  readonly tokens: number;
  /** Load of each mixture over all of them. */
  readonly layers: readonly LayerLoad[];
}

/** A result with what experts took on, by mixture, and how much each mixture adds. */
export interface DetailedEvaluation extends Evaluation {
  /** What experts took on, by mixture. */
  readonly specialisation: readonly Specialisation[];
  /** Root mean square of a mixture's output over that of the sum with what it reads, by mixture. */
  readonly residualShare: readonly number[];
  /** Which tokens were answered right, where targets are classes. */
  readonly answers?: Answers;
}

/** What to evaluate on. */
export interface EvaluationSetting {
  readonly backend: Backend;
  readonly data: TaskData;
  readonly plan: readonly EvaluationExamples[];
  /** Steps of training the model has behind it. */
  readonly step: number;
  /** Sees what the model makes of each batch, while its arrays are there. */
  readonly watch?: (output: ModelOutput) => Promise<void>;
}

/**
 * The held-out batches of a run: those of its part, `train.evaluationBatches` of them, evenly spread, or all.
 * @throws {RangeError} when the part has none.
 */
export function evaluationPlan({ train }: RunConfig, data: TaskData): readonly EvaluationExamples[] {
  const { evaluationPart: part } = train;
  const all = data.evaluationExamples(train).filter((_, at) =>
    part === "all" || (at % 2 === 0) === (part === "even")
  );
  if (all.length === 0) {
    throw new RangeError(
      `Cannot evaluate on the ${part} held-out batches of ${data.name}: there is one, of up to ${train.batch} x ` +
        `${train.length} tokens; choose a smaller train.batch or train.length, or more data`,
    );
  }
  const wanted = train.evaluationBatches ?? all.length;
  if (wanted >= all.length) return all;
  return Array.from({ length: wanted }, (_, at) => all[Math.floor(at * all.length / wanted)]);
}

/**
 * True after the steps at which a run is evaluated between its first and last: `evaluations` of them, evenly spread, or
 * every step of a shorter run.
 */
export function evaluationIsDue(step: number, { steps, evaluations }: RunConfig["train"]): boolean {
  const passed = (at: number) => Math.floor(at * (evaluations + 1) / steps);
  return step < steps && passed(step) > passed(step - 1);
}

/** Evaluates a model. */
export function evaluate(model: Model, setting: EvaluationSetting): Promise<Evaluation> {
  return evaluateWith(model, setting, () => Promise.resolve());
}

/** The same, counting right answers and experts by word and by label, and measuring what mixtures add. */
export async function evaluateInDetail(
  model: Model,
  setting: EvaluationSetting,
): Promise<DetailedEvaluation> {
  const { data } = setting;
  const counters = new Map<number, SpecialisationCounter>();
  const squares = new Map<number, { part: number; whole: number }>();
  const answers = countAnswers();
  const found = await evaluateWith(model, setting, async (batch, { layers, logits_TV }) => {
    const { target } = batch;
    if (target instanceof Int32Array) {
      answers.add(target, await topK(logits_TV!, 1).index_TK.read() as Int32Array);
    }
    for (const layer of layers) {
      const counter = counters.get(layer.layer) ?? countSpecialisation(layer.layer, layer.E, data);
      counters.set(layer.layer, counter);
      const [token_N, expert_N] = await Promise.all([
        layer.routing.token_N.read(),
        layer.routing.expert_N.read(),
      ]);
      counter.add({
        ...batch,
        token_N: token_N as Int32Array,
        expert_N: expert_N as Int32Array,
        shared: layer.routing.shared ?? 0,
      });
      const { part, whole } = await meanSquares(layer);
      const sums = squares.get(layer.layer) ?? { part: 0, whole: 0 };
      squares.set(layer.layer, { part: sums.part + part, whole: sums.whole + whole });
    }
  }, { scores: true });
  const counted = answers.finish();
  return {
    ...found,
    ...(counted ? { answers: counted } : {}),
    specialisation: [...counters.values()].map((counter) => counter.finish()),
    residualShare: [...squares.values()].map(({ part, whole }) => whole === 0 ? 0 : Math.sqrt(part / whole)),
  };
}

async function meanSquares({ residual_TD, y_TD }: LayerOutput): Promise<{ part: number; whole: number }> {
  const added_TD = residual_TD ? subtract(y_TD, residual_TD) : y_TD;
  const [part, whole] = await Promise.all([added_TD, y_TD].map((each) => scalar(meanAll(square(each)))));
  return { part, whole };
}

/** Examples as a model takes them. */
export function batchOf({ tokenId, target, lengths }: Examples): Batch {
  return { tokenId_T: tokenId, target_T: target, sequences: sequencesOf(lengths) };
}

/** Adds up one layer's assignments over batches. */
function loadCounter(layer: number, E: number) {
  const wanted: Int32Array[] = [];
  const kept: Int32Array[] = [];
  let choices: number | null = null;
  let shared = 0;
  return {
    add(routing: LayerOutput["routing"], wanted_N: Int32Array, expert_N: Int32Array) {
      wanted.push(wanted_N);
      kept.push(expert_N);
      ({ choices } = routing);
      shared = routing.shared ?? 0;
    },
    finish: (): LayerLoad => ({
      layer,
      ...loadOf({
        E,
        wanted_N: joined(Int32Array, wanted),
        expert_N: joined(Int32Array, kept),
        choices,
        shared,
        gateEntropy: null,
      }),
    }),
  };
}

/**
 * The loss on the same examples with the assignment of training: its capacity, noise and sampling. Where it differs from the
 * other, a router trains for something else than it is judged by.
 */
export async function evaluateAsInTraining(model: Model, setting: EvaluationSetting): Promise<number> {
  return (await evaluateWith(model, setting, () => Promise.resolve(), { training: true })).loss;
}

async function evaluateWith(
  model: Model,
  { backend, plan, step, watch: seen }: EvaluationSetting,
  watch: (batch: EvaluationExamples, output: ModelOutput) => Promise<void>,
  { training = false, scores = false } = {},
): Promise<Evaluation> {
  const counters = new Map<number, ReturnType<typeof loadCounter>>();
  let total = 0;
  let tokens = 0;
  for (const [at, batch] of plan.entries()) {
    using _scope = memory(backend);
    const stream = random(0).split(at);
    const output = await model.forward(batchOf(batch), {
      training,
      step,
      random: training ? stream : random(0),
      backend,
      scores,
    });
    const { count } = output.targets!;
    const [loss, read] = await pass(backend, "reading", () =>
      Promise.all([
        scalar(output.loss!),
        Promise.all(
          output.layers.map(({ routing }) => Promise.all([routing.wanted_N.read(), routing.expert_N.read()])),
        ),
        watch(batch, output),
        seen?.(output),
      ]));
    output.layers.forEach(({ layer, E, routing }, at) => {
      const counter = counters.get(layer) ?? loadCounter(layer, E);
      counters.set(layer, counter);
      counter.add(routing, read[at][0] as Int32Array, read[at][1] as Int32Array);
    });
    total += count * loss;
    tokens += count;
  }
  const loss = total / Math.max(1, tokens);
  return {
    loss,
    perplexity: Math.exp(loss),
    tokens,
    layers: [...counters.values()].map((counter) => counter.finish()),
  };
}
