// A whole training run: the loop over a trainer's steps, with checkpoints, and turns of the event loop in between.
import type { RunConfig } from "./config.ts";
import { checkKept } from "./model_keeper.ts";
import type { RunRecord, StepRow, StepTiming, TimingRecord } from "./record.ts";
import { checkSameRun, plannedHeader } from "./run_rows.ts";
import { createTrainer, type RunOptions, type Trainer } from "./trainer.ts";

/** How a run is trained to its end. */
export interface TrainOptions extends RunOptions {
  /** Steps between checkpoints; 50 when left out. */
  readonly checkpointEvery?: number;
  /** Ends the run after the step under way, saved where there is a store. */
  readonly signal?: AbortSignal;
  /** Called once with the steps a resumed run has behind it. */
  onStart?(step: number): void;
  /** Called after each step. */
  onStep?(row: StepRow, timing: StepTiming): void;
}

/** A run that was trained. */
export interface Trained extends Disposable {
  /** All rows. */
  readonly record: RunRecord;
  /** What differs between two runs of one config: seconds, threads. */
  readonly timing: TimingRecord;
  /** The trained model, to use and to close; null for a run that an earlier command had finished. */
  readonly trainer: Trainer | null;
}

const CHECKPOINT_EVERY = 50;
const TURN_MILLISECONDS = 100;

/**
 * Trains a run to its end, or until the signal, and returns its record, its timings and the trained model.
 * @throws {RangeError} when the task does not fit the model, or the run to resume was started otherwise; {Error} when
 * `store` cannot write; the signal's reason when it is aborted.
 * @example
 * ```ts
 * import { cpu, findTask, parseTaskOptions } from "@switchyard/moe";
 * import { configOf, train } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const recall = findTask("recall");
 * const data = await recall.load(parseTaskOptions(recall));
 * const config = configOf({ "task.name": "recall", ...recall.defaults, "train.steps": 3 });
 * const backend = await cpu({ threads: 1 });
 * using run = await train(config, { backend, data });
 * assertEquals(run.record.steps.map(({ step }) => step), [0, 1, 2]);
 * assertEquals(run.record.end!.step, 3);
 * backend.close();
 * ```
 */
export async function train(config: RunConfig, options: TrainOptions): Promise<Trained> {
  const { store, signal } = options;
  const done = options.resume && store ? await store.finished() : null;
  if (done) {
    checkSameRun(done.record.header, await plannedHeader(config, options));
    const { run, steps } = done.record.header;
    if (options.keepModel) await checkKept(store!, options.keepModel, { run, steps });
    options.onStart?.(config.train.steps);
    return { ...done, trainer: null, [Symbol.dispose]: () => {} };
  }
  const trainer = await createTrainer(config, options);
  try {
    options.onStart?.(trainer.steps);
    let lastTurn = 0;
    while (trainer.steps < config.train.steps) {
      if (performance.now() - lastTurn > TURN_MILLISECONDS) {
        await turn();
        lastTurn = performance.now();
      }
      if (signal?.aborted) {
        if (store) await trainer.save();
        signal.throwIfAborted();
      }
      const { row, timing } = await trainer.step();
      options.onStep?.(row, timing);
      const due = trainer.steps % (options.checkpointEvery ?? CHECKPOINT_EVERY) === 0;
      if (store && due && trainer.steps < config.train.steps) await trainer.save();
    }
    await trainer.finish();
  } catch (error) {
    trainer.close();
    throw error;
  }
  return { record: trainer.record(), timing: trainer.timing(), trainer, [Symbol.dispose]: trainer.close };
}

/** A turn of the event loop, so that signals, timers and a page's events are not kept waiting; it takes about 2 ms. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
