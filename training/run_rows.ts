// The first and the last row of a run's record: what it is, and what came out.
import { cutModel, type LanguageModel } from "../models/language_model.ts";
import { parseOptions } from "../routers/registry.ts";
import { validationBatches } from "./batches.ts";
import { evaluateInDetail } from "./evaluate.ts";
import { fingerprint } from "./fingerprint.ts";
import { adamWDefaults } from "./optimizer.ts";
import type { TrainOptions, TrainPlan } from "./plan.ts";
import type { EndRow, RunHeader } from "./record.ts";
import { scheduleDefaults } from "./schedule.ts";
import type { ProgressState } from "./train_state.ts";

/** A run's first row, but for what only its weights can tell. */
export type PlannedHeader = Omit<RunHeader, "parameters" | "initialWeights">;

/** What a plan says about its run before there are weights. */
export function plannedHeader(
  plan: TrainPlan,
  { dataset, backend, version }: Pick<TrainOptions, "dataset" | "backend" | "version">,
): PlannedHeader {
  const { E, K, F, activeFlopPerToken } = cutModel({ ...plan, V: dataset.vocabulary.size });
  return {
    kind: "run",
    run: plan.run,
    router: plan.label,
    plugin: plan.router.name,
    causal: plan.router.traits.causal,
    routerOptions: parseOptions(plan.router, plan.routerOptions) as Record<string, unknown>,
    seed: plan.seed,
    steps: plan.steps,
    size: plan.sizeName,
    model: { ...plan.size, optimizer: "AdamW", ...adamWDefaults, ...scheduleDefaults },
    experts: { E, K, F, precision: plan.precision ?? "full" },
    data: {
      corpus: dataset.name,
      vocabulary: dataset.vocabulary.size,
      trainTokens: dataset.train.length,
      validationTokens: dataset.validation.length,
      unigramPerplexity: dataset.unigramPerplexity,
    },
    activeFlopPerToken,
    arithmetic: backend.arithmetic,
    version,
  };
}

/** First row of a run. */
export async function headerOf(
  plan: TrainPlan,
  options: TrainOptions,
  model: LanguageModel,
): Promise<RunHeader> {
  const routers = new Set(model.routerParams);
  const shared = Object.fromEntries(Object.entries(model.params).filter(([name]) => !routers.has(name)));
  return {
    ...plannedHeader(plan, options),
    parameters: model.counts,
    initialWeights: await fingerprint(shared),
  };
}

/**
 * Checks that a stopped run was started as it would be now.
 * @throws {RangeError} naming what differs, with both values.
 */
export function checkSameRun(found: RunHeader, wanted: PlannedHeader | RunHeader): void {
  const differs = firstDifference(found, wanted);
  if (differs) throw new RangeError(`Cannot resume ${found.run}: its ${differs}`);
}

function firstDifference(found: object, wanted: object, path = ""): string | null {
  // Only the top of a planned header has less to say than what was found.
  const keys = new Set(path === "" ? Object.keys(wanted) : [...Object.keys(wanted), ...Object.keys(found)]);
  for (const key of keys) {
    const [before, now] = [found, wanted].map((side) => (side as Record<string, unknown>)[key]);
    if (JSON.stringify(before) === JSON.stringify(now)) continue;
    const inside = isObject(before) && isObject(now) ? firstDifference(before, now, `${path}${key}.`) : null;
    return inside ?? `${path}${key} was ${JSON.stringify(before)} and is now ${JSON.stringify(now)}`;
  }
  return null;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Last row of a run: validation over all held-out text, and what training counted. */
export async function endOf(
  plan: TrainPlan,
  { dataset }: TrainOptions,
  model: LanguageModel,
  state: ProgressState,
): Promise<EndRow> {
  const batches = validationBatches(dataset, plan.size);
  const { loss, perplexity, specialisation } = await evaluateInDetail(model, batches, dataset, plan.steps);
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
