// One run of an experiment, planned: what is trained, what it is called, and which data it needs.
import type { RunConfig } from "../training/config.ts";
import type { RunNames } from "../training/run_rows.ts";

/** One run to train. */
export interface RunPlan {
  readonly config: RunConfig;
  readonly names: RunNames;
  /** The task's data by what the config says of it: equal keys, equal data. */
  readonly dataKey: string;
}
