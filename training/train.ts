// One training run, from a plan to its record. Everything a step does is a function of the plan and the step, so a run
// continued from a checkpoint goes through the same bits as one that was never stopped.
import type { Backend } from "../kernels/kernel.ts";
import {
  createLanguageModel,
  type LanguageModel,
  type ModelOutput,
  type ModelPlan,
} from "../models/language_model.ts";
import { countDropsByPosition, gateEntropy, loadOf, type RoutingValues } from "../moe/load.ts";
import { parseOptions } from "../routers/registry.ts";
import { add } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { square } from "../tensor/arithmetic.ts";
import { takeStageSeconds } from "../tensor/stage.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { trainingBatch, validationBatches } from "./batches.ts";
import type { Dataset } from "./dataset.ts";
import { evaluate, evaluateInDetail } from "./evaluate.ts";
import { fingerprint } from "./fingerprint.ts";
import { adamWDefaults, createAdamW } from "./optimizer.ts";
import {
  type EndRow,
  type LayerLoad,
  type RecordRow,
  recordRows,
  type RunHeader,
  type RunRecord,
  type StepRow,
  type StepTiming,
  type TimingRecord,
} from "./record.ts";
import type { RunStore } from "./run_store.ts";
import { learningRateAt, scheduleDefaults } from "./schedule.ts";
import { createProgressState, type ProgressState, restoreProgress } from "./train_state.ts";

/** What to train. */
export interface TrainPlan extends Pick<ModelPlan, "size" | "router" | "routerOptions"> {
  /** Names the run's files. */
  readonly run: string;
  /** What tables and charts call it. */
  readonly label: string;
  /** Name of the size, for the record. */
  readonly sizeName: string;
  readonly seed: number;
  readonly steps: number;
}

/** How to train it. */
export interface TrainOptions {
  readonly backend: Backend;
  readonly dataset: Dataset;
  /** Where to save; nothing is saved without it. */
  readonly store?: RunStore;
  /** Continue from the store's checkpoint when there is one. */
  readonly resume?: boolean;
  /** Steps between checkpoints. */
  readonly checkpointEvery?: number;
  /** What timings are written with. */
  readonly machine: { readonly threads: number; readonly machine: string };
  readonly version: string;
  /** Called once with the steps a resumed run has behind it. */
  onStart?(step: number): void;
  onStep?(row: StepRow, timing: StepTiming): void;
}

/** Batches of validation text looked at on the way; the end looks at all. */
const QUICK_BATCHES = 8;
const EVALUATIONS = 5;
const CHECKPOINT_EVERY = 50;

/** Trains one plan and returns its record. */
export async function train(
  plan: TrainPlan,
  options: TrainOptions,
): Promise<{ record: RunRecord; timing: TimingRecord }> {
  const { backend, dataset, store } = options;
  const streams = random(plan.seed);
  const model = createLanguageModel(
    { ...plan, V: dataset.vocabulary.size, tokenCount_V: dataset.countByToken },
    createInit(backend, streams.split("init")),
  );
  const optimizer = createAdamW(model.params);
  const header = await headerOf(plan, options, model);
  const state = createProgressState(model, optimizer);
  const rows: RecordRow[] = [header];
  const timings: StepTiming[] = [];
  const timing = (): TimingRecord => ({ run: plan.run, ...options.machine, steps: timings });

  const saved = options.resume && store ? await store.saved() : null;
  if (saved) {
    if (JSON.stringify(saved.record.header) !== JSON.stringify(header)) {
      throw new RangeError(
        `Cannot resume ${plan.run}: it was started with other options, weights or arithmetic`,
      );
    }
    restoreProgress(state, saved);
    rows.push(...recordRows(saved.record).slice(1).filter((row) => rowIsBefore(row, state.step)));
    timings.push(...saved.timing.steps.filter(({ step }) => step < state.step));
  }

  options.onStart?.(state.step);
  const quick = validationBatches(dataset, plan.size).slice(0, QUICK_BATCHES);
  const evaluateEvery = Math.ceil(plan.steps / EVALUATIONS);
  const schedule = { peak: plan.size.learningRate, steps: plan.steps, ...scheduleDefaults };
  takeStageSeconds();
  while (state.step < plan.steps) {
    const { step } = state;
    const start = performance.now();
    const row = await trainStep({
      plan,
      options,
      model,
      optimizer,
      state,
      learningRate: learningRateAt(step, schedule),
    });
    const seconds = (performance.now() - start) / 1000;
    const stepTiming = { step, seconds, stages: takeStageSeconds() };
    rows.push(row);
    timings.push(stepTiming);
    state.step++;
    options.onStep?.(row, stepTiming);
    if (state.step % evaluateEvery === 0 && state.step < plan.steps) {
      rows.push({ kind: "evaluation", step: state.step, ...await evaluate(model, backend, quick, state.step) });
    }
    if (
      store && state.step < plan.steps && state.step % (options.checkpointEvery ?? CHECKPOINT_EVERY) === 0
    ) {
      await store.save(rows, timing(), ...await state.save());
    }
    takeStageSeconds();
  }
  rows.push(await endOf(plan, options, model, state));
  if (store) await store.finish(rows, timing());
  state.free();
  return { record: recordOf(header, rows), timing: timing() };
}

interface StepParts {
  readonly plan: TrainPlan;
  readonly options: TrainOptions;
  readonly model: LanguageModel;
  readonly optimizer: ReturnType<typeof createAdamW>;
  readonly state: ProgressState;
  readonly learningRate: number;
}

async function trainStep(
  { plan, options, model, optimizer, state, learningRate }: StepParts,
): Promise<StepRow> {
  using _scope = memory();
  const { step } = state;
  const { backend, dataset } = options;
  const { batch, length } = plan.size;
  const streams = random(plan.seed);
  const { tokenId, target } = trainingBatch(dataset, {
    batch,
    length,
    random: streams.split("data"),
    step,
    shards: plan.size.sharded ? plan.size.ranks : 1,
  });
  const T = batch * length;
  const inputs = { tokenId_T: tensor(backend, tokenId, [T]), target_T: tensor(backend, target, [T]) };
  const output = await model.forward(inputs, {
    training: true,
    step,
    random: streams.split("routing").split(step),
  });
  const losses = Object.entries(output.losses);
  const total = losses.reduce((sum, [, loss]) => add(sum, loss), output.loss);
  const names = Object.keys(model.params);
  const found = await gradients(total, Object.values(model.params));
  const byName: Record<string, Tensor> = {};
  names.forEach((name, at) => {
    const gradient = found[at];
    if (!gradient) throw new TypeError(`Cannot train ${plan.run}: no gradient reaches "${name}"`);
    byName[name] = gradient;
  });
  for (const name of model.routerParams) await state.noteRouterGradient(name, sumAll(square(byName[name])));
  const norm = optimizer.update(byName, learningRate, step);

  const row: StepRow = {
    kind: "step",
    step,
    loss: await scalar(output.loss),
    losses: Object.fromEntries(
      await Promise.all(losses.map(async ([name, loss]) => [name, await scalar(loss)])),
    ),
    learningRate,
    gradientNorm: await scalar(norm),
    layers: await readLoads(output, model.cut.E, length, state),
  };
  if (!Number.isFinite(row.loss) || !Number.isFinite(row.gradientNorm)) {
    throw new RangeError(
      `Cannot go on with ${plan.run}: at step ${step} the loss is ${row.loss} and the gradient norm ${row.gradientNorm}`,
    );
  }
  return row;
}

async function readLoads(
  { layers, topology }: ModelOutput,
  E: number,
  length: number,
  state: ProgressState,
): Promise<LayerLoad[]> {
  const loads: LayerLoad[] = [];
  for (const { layer, routing } of layers) {
    const token_N = await routing.token_N.read() as Int32Array;
    const values: RoutingValues = {
      E,
      wanted_N: await routing.wanted_N.read() as Int32Array,
      expert_N: await routing.expert_N.read() as Int32Array,
      choices: routing.choices,
      gateEntropy: routing.probability_TE ? await scalar(gateEntropy(routing.probability_TE)) : null,
      home: { token_N, topology },
    };
    countDropsByPosition(values, token_N, length, state.drops);
    loads.push({ layer, ...loadOf(values) });
  }
  return loads;
}

async function headerOf(plan: TrainPlan, options: TrainOptions, model: LanguageModel): Promise<RunHeader> {
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
    model: { ...plan.size, ...model.cut, optimizer: "AdamW", ...adamWDefaults, ...scheduleDefaults },
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

async function endOf(
  plan: TrainPlan,
  { backend, dataset }: TrainOptions,
  model: LanguageModel,
  state: ProgressState,
): Promise<EndRow> {
  const batches = validationBatches(dataset, plan.size);
  const { loss, perplexity, specialisation } = await evaluateInDetail(model, backend, batches, dataset, plan.steps);
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

/** True for what a run had written when it had taken `step` steps. */
function rowIsBefore(row: RecordRow, step: number): boolean {
  return row.kind === "step" ? row.step < step : row.kind === "evaluation" && row.step <= step;
}

function recordOf(header: RunHeader, rows: readonly RecordRow[]): RunRecord {
  return {
    header,
    steps: rows.filter((row) => row.kind === "step"),
    evaluations: rows.filter((row) => row.kind === "evaluation"),
    end: rows.find((row) => row.kind === "end") ?? null,
  };
}
