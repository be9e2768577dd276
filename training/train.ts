// One training run, from a plan to its record. Everything a step does is a function of the plan and the step, so a run
// continued from a checkpoint goes through the same bits as one that was never stopped.
import { createLanguageModel } from "../models/language_model.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { sumOfPasses, takePassSeconds } from "../tensor/stage.ts";
import { validationBatches } from "./batches.ts";
import { evaluate } from "./evaluate.ts";
import { createAdamW } from "./optimizer.ts";
import type { TrainOptions, TrainPlan } from "./plan.ts";
import {
  type RecordRow,
  recordRows,
  type RunHeader,
  type RunRecord,
  type StepTiming,
  type TimingRecord,
} from "./record.ts";
import { checkSameRun, endOf, headerOf, plannedHeader } from "./run_rows.ts";
import { learningRateAt, scheduleDefaults } from "./schedule.ts";
import { watchQueue } from "./step_queue.ts";
import { createProgressState, restoreProgress } from "./train_state.ts";
import { trainStep } from "./train_step.ts";

/** Batches of validation text looked at on the way; the end looks at all. */
const QUICK_BATCHES = 8;
const EVALUATIONS = 5;
const CHECKPOINT_EVERY = 50;
const TURN_MILLISECONDS = 100;

/**
 * Trains one plan and returns its record, and the timings that are no part of it.
 * @throws {RangeError} when the text is too short for the size, or the run to resume was started otherwise; {Error}
 * when `store` cannot write.
 * @example
 * ```ts
 * import { cpu, findSize, switchRouter } from "@switchyard/moe";
 * import { parsePlainText, prepare, train } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const dataset = prepare(parsePlainText("A cat sat. ".repeat(200), "cats"), { vocabulary: 100 });
 * const plan = { size: findSize("tiny"), sizeName: "tiny", router: switchRouter, routerOptions: {}, seed: 0 };
 * const machine = { threads: 1, machine: "mine" };
 * const { record } = await train(
 *   { ...plan, run: "switch-seed0", label: "switch", steps: 3 },
 *   { backend, dataset, machine, version: "0.1.0" },
 * );
 * assertEquals(record.steps.map(({ step }) => step), [0, 1, 2]);
 * assertEquals(record.end!.step, 3);
 * backend.close();
 * ```
 */
export async function train(
  plan: TrainPlan,
  options: TrainOptions,
): Promise<{ record: RunRecord; timing: TimingRecord }> {
  const { backend, dataset, store } = options;
  const done = options.resume && store ? await store.finished() : null;
  if (done) {
    checkSameRun(done.record.header, plannedHeader(plan, options));
    options.onStart?.(plan.steps);
    return done;
  }
  const streams = random(plan.seed);
  const model = createLanguageModel(
    { ...plan, V: dataset.vocabulary.size, tokenCount_V: dataset.countByToken },
    createInit(backend, streams.split("init")),
  );
  const optimizer = createAdamW(model.params);
  const header = await headerOf(plan, options, model);
  const state = createProgressState(model, optimizer);
  using _weights = { [Symbol.dispose]: () => state.free() };
  const rows: RecordRow[] = [header];
  const timings: StepTiming[] = [];
  const timing = (): TimingRecord => ({ run: plan.run, ...options.machine, steps: timings });

  const saved = options.resume && store ? await store.saved() : null;
  if (saved) {
    checkSameRun(saved.record.header, header);
    restoreProgress(state, saved);
    rows.push(...recordRows(saved.record).slice(1).filter((row) => rowIsBefore(row, state.step)));
    timings.push(...saved.timing.steps.filter(({ step }) => step < state.step));
  }

  options.onStart?.(state.step);
  const quick = validationBatches(dataset, plan.size).slice(0, QUICK_BATCHES);
  const evaluateEvery = Math.ceil(plan.steps / EVALUATIONS);
  const schedule = { peak: plan.size.learningRate, steps: plan.steps, ...scheduleDefaults };
  let lastTurn = 0;
  while (state.step < plan.steps) {
    if (performance.now() - lastTurn > TURN_MILLISECONDS) {
      await turn();
      lastTurn = performance.now();
    }
    const { step } = state;
    takePassSeconds();
    const start = performance.now();
    const queued = watchQueue(backend);
    const row = await trainStep({
      plan,
      options,
      model,
      optimizer,
      state,
      learningRate: learningRateAt(step, schedule),
    });
    const seconds = (performance.now() - start) / 1000;
    const passes = takePassSeconds();
    const stepTiming = { step, seconds, stages: sumOfPasses(passes), passes, ...queued(seconds) };
    rows.push(row);
    timings.push(stepTiming);
    state.step++;
    options.onStep?.(row, stepTiming);
    if (state.step % evaluateEvery === 0 && state.step < plan.steps) {
      rows.push({
        kind: "evaluation",
        step: state.step,
        ...await evaluate(model, quick, state.step),
      });
    }
    if (
      store && state.step < plan.steps && state.step % (options.checkpointEvery ?? CHECKPOINT_EVERY) === 0
    ) {
      await store.save(rows, timing(), ...await state.save());
    }
  }
  rows.push(await endOf(plan, options, model, state));
  if (store) await store.finish(rows, timing());
  return { record: recordOf(header, rows), timing: timing() };
}

/** A turn of the event loop, so that signals, timers and a page's events are not kept waiting; it takes about 2 ms. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
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
