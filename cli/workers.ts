// Runs side by side: each worker loads the task, opens a CPU backend of its own and trains what it is sent. What a run
// computes does not depend on which worker it runs in, so records are the same bytes.
import type { Blas, NoBlas } from "../cpu/blas/measurement.ts";
import type { Machine, RunRecord, TimingRecord } from "../training/record.ts";
import type { KeptStep } from "../training/saved_model.ts";
import type { RunPlan } from "../experiments/run_plan.ts";
import type { Folders } from "./store_of.ts";

/** How a worker is set up, and what its runs share. */
export interface WorkerSetting extends Folders {
  readonly resume: boolean;
  readonly keepModel: KeptStep | null;
  readonly pluginPaths: readonly string[];
  readonly machine: Machine;
  readonly version: string;
  /** What the command found, so that every worker multiplies on the same library. */
  readonly blas: Blas | NoBlas | null;
}

/** What a worker is sent. */
export interface WorkerTask extends WorkerSetting {
  readonly plan: RunPlan;
}

/** What a worker sends back. */
export type WorkerAnswer =
  | { readonly kind: "start"; readonly step: number }
  | { readonly kind: "step"; readonly step: number; readonly loss: number; readonly seconds: number }
  | { readonly kind: "done"; readonly record: RunRecord; readonly timing: TimingRecord }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "error"; readonly message: string };

/** Told how far a run is. */
export interface Watch {
  onStart(step: number): void;
  onStep(step: number, loss: number, seconds: number): void;
}

/** Workers that train. */
export interface Workers extends Disposable {
  readonly count: number;
  /** Trains one run on one worker, which must be idle. @throws {Error} for a failure of the machine. */
  train(
    worker: number,
    plan: RunPlan,
    watch: Watch,
  ): Promise<{ record: RunRecord; timing: TimingRecord } | { reason: string }>;
}

/** Starts workers; they end with the result's disposal, or with the signal. */
export function createWorkers(
  count: number,
  setting: WorkerSetting & { readonly signal: AbortSignal },
): Workers {
  const { folder, tensorBoard, resume, keepModel, pluginPaths, machine, version, blas, signal } = setting;
  const shared: WorkerSetting = {
    folder,
    tensorBoard,
    resume,
    keepModel,
    pluginPaths,
    machine,
    version,
    blas,
  };
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL("worker.ts", import.meta.url), { type: "module" }),
  );
  return {
    count,
    train: (at, plan, { onStart, onStep }) =>
      new Promise((resolve, reject) => {
        const worker = workers[at];
        // A worker saves every few steps; what it did since is done again.
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
        worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
          if (data.kind === "start") onStart(data.step);
          else if (data.kind === "step") onStep(data.step, data.loss, data.seconds);
          else if (data.kind === "done") resolve({ record: data.record, timing: data.timing });
          else if (data.kind === "failed") resolve({ reason: data.reason });
          else reject(new Error(data.message));
        };
        const task: WorkerTask = { ...shared, plan };
        worker.postMessage(task);
      }),
    [Symbol.dispose]() {
      for (const worker of workers) worker.terminate();
    },
  };
}
