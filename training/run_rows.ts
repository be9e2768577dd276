// The first and the last row of a run's record: what it is, and what came out.
import type { LanguageModel } from "../models/language_model.ts";
import { parseOptions } from "../routers/registry.ts";
import { validationBatches } from "./batches.ts";
import { evaluateInDetail } from "./evaluate.ts";
import { fingerprint } from "./fingerprint.ts";
import { adamWDefaults } from "./optimizer.ts";
import type { TrainOptions, TrainPlan } from "./plan.ts";
import type { EndRow, RunHeader } from "./record.ts";
import { scheduleDefaults } from "./schedule.ts";
import type { ProgressState } from "./train_state.ts";

/** First row of a run. */
export async function headerOf(
  plan: TrainPlan,
  options: TrainOptions,
  model: LanguageModel,
): Promise<RunHeader> {
  const { dataset, backend } = options;
  const routers = new Set(model.routerParams);
  const shared = Object.fromEntries(Object.entries(model.params).filter(([name]) => !routers.has(name)));
  return {
    kind: "run",
    run: plan.run,
    router: plan.label,
    plugin: plan.router.name,
    routerOptions: parseOptions(plan.router, plan.routerOptions) as Record<string, unknown>,
    seed: plan.seed,
    steps: plan.steps,
    size: plan.sizeName,
    model: { ...plan.size, optimizer: "AdamW", ...adamWDefaults, ...scheduleDefaults },
    experts: { E: model.cut.E, K: model.cut.K, F: model.cut.F },
    data: {
      corpus: dataset.name,
      vocabulary: dataset.vocabulary.size,
      trainTokens: dataset.train.length,
      validationTokens: dataset.validation.length,
      unigramPerplexity: dataset.unigramPerplexity,
    },
    activeFlopPerToken: model.cut.activeFlopPerToken,
    parameters: model.counts,
    initialWeights: await fingerprint(shared),
    arithmetic: backend.arithmetic,
    version: options.version,
  };
}

/** Last row of a run: validation over all held-out text, and what training counted. */
export async function endOf(
  plan: TrainPlan,
  { backend, dataset }: TrainOptions,
  model: LanguageModel,
  state: ProgressState,
): Promise<EndRow> {
  const batches = validationBatches(dataset, plan.size);
  const { loss, perplexity, specialisation } = await evaluateInDetail(model, backend, batches, dataset);
  const gradient = state.leastRouterGradient();
  if (plan.router.traits.gradient !== "none" && model.routerParams.length > 0 && !(gradient! > 0)) {
    throw new RangeError(
      `Cannot accept ${plan.run}: a parameter of its router received no gradient in ${plan.steps} steps`,
    );
  }
  const { wanted, dropped } = state.drops;
  const sum = (counts: Float64Array) => counts.reduce((total, count) => total + count, 0);
  return {
    kind: "end",
    step: plan.steps,
    loss,
    perplexity,
    routerGradient: gradient,
    droppedShareByPosition: Array.from(wanted, (count, at) => count === 0 ? 0 : dropped[at] / count),
    keptShare: 1 - sum(dropped) / Math.max(1, sum(wanted)),
    specialisation,
  };
}
