// What a run is asked to do: the plan decides every bit of the result, the options how and where it is done.
import type { Backend } from "../kernels/kernel.ts";
import type { ModelPlan } from "../models/language_model.ts";
import type { Dataset } from "../data/dataset.ts";
import type { StepRow, StepTiming } from "./record.ts";
import type { RunStore } from "./run_store.ts";

/** What to train. */
export interface TrainPlan extends Pick<ModelPlan, "size" | "router" | "routerOptions" | "precision"> {
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
  /** Continue from the store's checkpoint when there is one; a finished run is taken as it is. */
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
