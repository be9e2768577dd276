// A run that is trained step by step. Everything a step does is a function of the config and the step, so a run continued
// from a checkpoint goes through the same bits as one that was never stopped.
import type { Backend } from "../kernels/kernel.ts";
import { createModel, type Model } from "../models/model.ts";
import type { TaskData } from "../tasks/task.ts";
import { fork, takePeakBytes } from "../tensor/context.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { type Sequences, sequencesOf } from "../tensor/sequences.ts";
import { sumOfPasses, takePassSeconds } from "../tensor/stage.ts";
import type { RunConfig } from "./config.ts";
import { refuseLeak, seesLaterTokens } from "./causality.ts";
import { encodeCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { watchChoices } from "./choices.ts";
import { checkContract } from "./contract.ts";
import { evaluate, type Evaluation, evaluationIsDue, evaluationPlan } from "./evaluate.ts";
import { look, type TokenLook } from "./look.ts";
import { checkKept, createModelKeeper } from "./model_keeper.ts";
import { createAdamW } from "./optimizer.ts";
import type {
  EvaluationRow,
  Machine,
  RecordRow,
  RunHeader,
  RunRecord,
  StepRow,
  StepTiming,
  TimingRecord,
} from "./record.ts";
import { recordOf, recordRows } from "./record_text.ts";
import { checkSameRun, endOf, headerOf, isOrdered, type RunNames } from "./run_rows.ts";
import { routerState } from "./router_state.ts";
import type { RunStore } from "./run_store.ts";
import { type KeptStep, modelToSave } from "./saved_model.ts";
import { learningRateAt } from "./schedule.ts";
import { specOf } from "./spec_of.ts";
import { startModel } from "./start.ts";
import { openTeacher, type Teacher } from "./teacher.ts";
import { watchQueue } from "./step_queue.ts";
import { placesOf } from "./timing_place.ts";
import { createProgressState, restoreProgress } from "./train_state.ts";
import { trainStep } from "./train_step.ts";

/** Where and how a run is trained; nothing here changes its bits but the backend's arithmetic. */
export interface RunOptions {
  /** Where it is trained, on a handle of its own. */
  readonly backend: Backend;
  /** The task of the config, loaded. */
  readonly data: TaskData;
  /** What the run is called; names are derived from the config where left out. */
  readonly names?: Partial<RunNames>;
  /** Where to save; nothing is saved without it. */
  readonly store?: RunStore;
  /** Continue from the store's checkpoint when there is one. */
  readonly resume?: boolean;
  /** Keep the model of the best or the last step in the store ({@linkcode loadModel}); none is kept without it. */
  readonly keepModel?: KeptStep;
  /** Timings are recorded with these. */
  readonly machine?: Machine;
  /** Version of the package that the record names. */
  readonly version?: string;
}

/** A run under way. Close it when done with its model. */
export interface Trainer extends Disposable {
  /** What it was made from. */
  readonly config: RunConfig;
  /** The model, at its current weights. */
  readonly model: Model;
  /** Steps taken. */
  readonly steps: number;
  /** One training step, and the validation point that is due before the first one and after some. */
  step(): Promise<{ readonly row: StepRow; readonly timing: StepTiming }>;
  /** Experts, weights, probabilities and drops of tokens, one sequence unless told otherwise, as in evaluation. */
  look(tokenId: Int32Array, sequences?: Sequences): Promise<readonly TokenLook[]>;
  /** The loss on the held-out examples, without noise. */
  evaluate(): Promise<Evaluation>;
  /** Ends the run: its last row is written and its checkpoint goes. */
  finish(): Promise<void>;
  /** Rows so far. */
  record(): RunRecord;
  /** Seconds so far. */
  timing(): TimingRecord;
  /** Saves rows and a checkpoint. @throws {TypeError} without a store. */
  save(): Promise<void>;
  /** Saves the model as it is now, with its config, as a file for {@linkcode loadModel}. */
  saveModel(path: string): Promise<void>;
  /** That file's bytes, for programs that run elsewhere than in Deno. */
  encodeModel(): Promise<Uint8Array<ArrayBuffer>>;
  /** Frees weights and moments; a second time does nothing. */
  close(): void;
}

/**
 * Starts a run, or goes on from its checkpoint.
 * @throws {RangeError} when the task and the model do not fit, or the run to resume was started otherwise.
 * @example
 * ```ts
 * import { cpu, findTask, parseTaskOptions } from "@switchyard/moe";
 * import { configOf, createTrainer } from "@switchyard/moe/training";
 * import { assert, assertEquals } from "@std/assert";
 * const recall = findTask("recall");
 * const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));
 * const config = configOf({ "task.name": "recall", ...recall.defaults, "task.facts": 64 });
 * const backend = await cpu({ threads: 1 });
 * using trainer = await createTrainer(config, { backend, data });
 * const before = await trainer.evaluate();
 * while (trainer.steps < 20) await trainer.step();
 * assert((await trainer.evaluate()).loss < before.loss);
 * const [token] = await trainer.look(Int32Array.of(5));
 * assertEquals([token.tokenId, token.layers.length, token.layers[0].wanted.length], [5, 1, 1]);
 * ```
 */
export async function createTrainer(config: RunConfig, options: RunOptions): Promise<Trainer> {
  const { data, store, keepModel } = options;
  if (keepModel && !store) {
    throw new TypeError(`Cannot keep the ${keepModel} model of a run: it has no store`);
  }
  // Two runs at once never see each other's memory scopes and clocks.
  const backend = fork(options.backend);
  const { train, placement } = config;
  const streams = random(config.seed);
  const { checkpointActivations } = train;
  const init = createInit(backend, streams.split("init"));
  const model = createModel(specOf(config, data), init, { checkpointActivations });
  const optimizer = createAdamW(model.params, train);
  const state = createProgressState(model, optimizer, train.length);
  const rows: RecordRow[] = [];
  const timings: StepTiming[] = [];
  let place: Omit<TimingRecord, "run" | "steps"> = options.machine ?? { threads: 1, machine: "" };
  const timing = (): TimingRecord => ({ run: header.run, ...place, steps: timings });
  const examplesAt = data.trainingExamples({
    batch: train.batch,
    length: train.length,
    random: streams.split("data"),
    shards: placement.sharded ? placement.ranks : 1,
  });
  let header: RunHeader;
  let teacher: Teacher | null = null;
  try {
    await startModel(model, { config, data, backend, examplesAt });
    teacher = await openTeacher(model, { config, data, backend });
    header = await headerOf(config, { ...options, backend, teacher: teacher?.model ?? null }, model);
    rows.push(header);
    const saved = options.resume && store ? await store.saved() : null;
    if (saved) {
      checkSameRun(saved.record.header, header);
      restoreProgress(state, saved);
      // The last one is written at the end.
      if (keepModel === "best") await checkKept(store!, keepModel, { run: header.run, steps: state.step });
      for (const row of recordRows(saved.record).slice(1)) rows.push(row);
      for (const step of saved.timing.steps) timings.push(step);
      place = placesOf(saved.timing, place, state.step);
    }
  } catch (error) {
    state.free();
    teacher?.close();
    throw error;
  }
  const plan = evaluationPlan(config, data);
  const schedule = { peak: train.learningRate, ...train };
  const pointAt = (step: number): Promise<Evaluation> => evaluate(model, { backend, data, plan, step });
  const modelNow = (kept?: KeptStep) => {
    const latest = rows.findLast((row) => row.kind === "evaluation");
    return modelToSave(model, config, data, {
      run: header.run,
      step: state.step,
      loss: latest?.step === state.step ? latest.loss : null,
      ...(kept ? { kept } : {}),
      task: data.digest,
      version: header.version,
    });
  };
  const saveModel = async (path: string, kept?: KeptStep) => {
    const { tensors, metadata } = await modelNow(kept);
    await writeCheckpoint(path, tensors, metadata);
  };
  const keeper = keepModel &&
    createModelKeeper(
      keepModel,
      rows.filter((row) => row.kind === "evaluation"),
      () => saveModel(store!.modelPath, keepModel),
    );
  const point = async () => {
    const { step } = state;
    const watched = watchChoices();
    const found = await evaluate(model, { backend, data, plan, step, watch: watched.add });
    const { loss, perplexity, tokens, layers } = found;
    const choices = watched.point(state.firstExperts);
    state.firstExperts = watched.first();
    const row: EvaluationRow = { kind: "evaluation", step, loss, perplexity, tokens, layers, choices };
    rows.push(row);
    await keeper?.see(row, false);
  };
  let open = true;
  const close = () => {
    if (open) {
      state.free();
      teacher?.close();
    }
    open = false;
  };
  const trainer: Trainer = {
    config,
    model,
    get steps() {
      return state.step;
    },
    async step() {
      const { step } = state;
      if (step >= train.steps) {
        throw new RangeError(
          `Cannot take step ${step} of ${header.run}: it has train.steps = ${train.steps}`,
        );
      }
      if (step === 0) {
        await point();
        const ordered = isOrdered(config, data);
        if (ordered && await seesLaterTokens(model, { backend, examples: plan[0], step })) {
          refuseLeak(model, step);
        }
      }
      takePassSeconds(backend);
      takePeakBytes(backend);
      const start = performance.now();
      const queued = watchQueue(backend);
      const learningRate = learningRateAt(step, schedule);
      const row = await trainStep({
        config,
        run: header.run,
        examplesAt,
        check: checkContract,
        backend,
        model,
        teacher,
        optimizer,
        state,
        learningRate,
      });
      const seconds = (performance.now() - start) / 1000;
      const passes = takePassSeconds(backend);
      const peakBytes = takePeakBytes(backend);
      const stepTiming = {
        step,
        seconds,
        stages: sumOfPasses(passes),
        passes,
        peakBytes,
        ...queued(seconds),
      };
      // What no checkpoint could hold is said now, not when the first one is due.
      if (step === 0) routerState(model.routers);
      state.step++;
      if (step % train.recordEvery === 0 || state.step === train.steps) {
        rows.push(row);
        timings.push(stepTiming);
      }
      if (evaluationIsDue(state.step, train)) await point();
      return { row, timing: stepTiming };
    },
    look: (tokenId, sequences = sequencesOf([tokenId.length])) =>
      look(model, backend, tokenId, sequences, state.step),
    evaluate: () => pointAt(state.step),
    async finish() {
      if (state.step < train.steps) {
        throw new RangeError(
          `Cannot finish ${header.run}: it has taken ${state.step} of its train.steps = ${train.steps}`,
        );
      }
      const last = await endOf({ config, run: header.run, data, backend, model, state, plan });
      for (const row of last) {
        checkFinite(header.run, state.step, row.loss);
        rows.push(row);
      }
      await keeper?.see(last[0], true);
      if (store) await store.finish(rows, timing());
    },
    record: () => recordOf(rows, header.run),
    timing,
    async save() {
      if (!store) throw new TypeError(`Cannot save ${header.run}: it has no store`);
      await store.save(rows, timing(), ...await state.save());
    },
    saveModel: (path) => saveModel(path),
    async encodeModel() {
      const { tensors, metadata } = await modelNow();
      return encodeCheckpoint(tensors, metadata);
    },
    close,
    [Symbol.dispose]: close,
  };
  return trainer;
}

/** A model whose loss is no number has nothing to be compared by. */
function checkFinite(run: string, steps: number, loss: number): void {
  if (Number.isFinite(loss)) return;
  throw new RangeError(`Cannot go on with ${run}: after ${steps} steps the validation loss is ${loss}`);
}
