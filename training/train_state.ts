// What changes while a run trains, and how it goes into a checkpoint and comes back: step, weights, moments, and the
// counts the last row of the record is made from.
import { scalar } from "../tensor/reduce.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import type { Model } from "../models/model.ts";
import type { CheckpointTensor } from "./checkpoint.ts";
import { assignParameters, readParameters, restoreStates, routerStates } from "./model_weights.ts";
import type { FirstExperts } from "./choices.ts";
import type { AdamW } from "./optimizer.ts";
import type { SavedRun } from "./run_store.ts";

/** The moving part of a run. */
export interface ProgressState {
  /** Steps taken. */
  step: number;
  /** Wanted and dropped assignments by position in the sequence. */
  readonly drops: { readonly wanted: Float64Array; readonly dropped: Float64Array };
  /** Expert that weighs most on each held-out token, by layer, at the last point of validation. */
  firstExperts: FirstExperts;
  /** Remembers the largest gradient of a router parameter, given its sum of squares. */
  noteRouterGradient(name: string, sumOfSquares: Tensor): Promise<void>;
  /** Largest gradient norm of the router parameter that got least; null without parameters. */
  leastRouterGradient(): number | null;
  /** Arrays and texts for a checkpoint. */
  save(): Promise<[Record<string, CheckpointTensor>, Record<string, string>]>;
  /** Everything a checkpoint must bring back, by name. */
  readonly stored: Readonly<Record<string, Parameter>>;
  readonly routerGradients: Record<string, number>;
  /** Routers by path, whose own state goes with the rest. */
  readonly routers: Model["routers"];
  /** Frees weights and moments; a second call does nothing. */
  free(): void;
}

interface Counts {
  readonly step: number;
  readonly wanted: number[];
  readonly dropped: number[];
  readonly routerGradients: Record<string, number>;
}

/** The state of a run that has not begun, on sequences of `length` tokens. */
export function createProgressState(model: Model, optimizer: AdamW, length: number): ProgressState {
  const stored: Record<string, Parameter> = {};
  for (const [name, param] of Object.entries(model.params)) {
    stored[name] = param;
    stored[`adamw.first.${name}`] = optimizer.moments[name].first;
    stored[`adamw.second.${name}`] = optimizer.moments[name].second;
  }
  const routerGradients: Record<string, number> = Object.fromEntries(
    model.routerParams.map((name) => [name, 0]),
  );
  const state: ProgressState = {
    step: 0,
    drops: { wanted: new Float64Array(length), dropped: new Float64Array(length) },
    firstExperts: new Map(),
    stored,
    routerGradients,
    routers: model.routers,
    async noteRouterGradient(name, sumOfSquares) {
      routerGradients[name] = Math.max(routerGradients[name], Math.sqrt(await scalar(sumOfSquares)));
    },
    leastRouterGradient() {
      const found = Object.values(routerGradients);
      return found.length === 0 ? null : Math.min(...found);
    },
    async save() {
      const tensors = {
        ...await readParameters(stored),
        ...routerStates(state.routers),
        ...choiceTensors(state.firstExperts),
      };
      const counts: Counts = {
        step: state.step,
        wanted: [...state.drops.wanted],
        dropped: [...state.drops.dropped],
        routerGradients,
      };
      return [tensors, { switchyard: JSON.stringify(counts) }];
    },
    free() {
      model.free();
      optimizer.free();
    },
  };
  return state;
}

const FIRST_EXPERTS = "choices.first.";

function choiceTensors(firstExperts: FirstExperts): Record<string, CheckpointTensor> {
  return Object.fromEntries(
    [...firstExperts].map((
      [layer, values],
    ) => [`${FIRST_EXPERTS}${layer}`, { values, shape: [values.length] }]),
  );
}

/** Empty for a checkpoint from before they were kept. */
function firstExpertsOf(tensors: SavedRun["tensors"]): FirstExperts {
  return new Map(
    Object.entries(tensors).filter(([name]) => name.startsWith(FIRST_EXPERTS)).map(([name, { values }]) => [
      Number(name.slice(FIRST_EXPERTS.length)),
      Int32Array.from(values),
    ]),
  );
}

/** Steps and sums of a checkpoint. @throws {RangeError} when another tool saved it without them, or it is damaged. */
function countsOf({ record: { header }, metadata }: SavedRun): Counts {
  try {
    const found = JSON.parse(metadata.switchyard ?? "") as Counts;
    if (Number.isInteger(found.step) && Array.isArray(found.wanted) && Array.isArray(found.dropped)) {
      return found;
    }
  } catch {
    // said below
  }
  throw new RangeError(
    `Cannot resume ${header.run}: its checkpoint has lost its metadata "switchyard", which says how far the run was; ` +
      "restore the file, or remove it to train the run anew",
  );
}

/**
 * Brings a state back to where a checkpoint left it.
 * @throws {RangeError} when the checkpoint lacks something, or a shape differs.
 */
export function restoreProgress(state: ProgressState, saved: SavedRun): void {
  const counts = countsOf(saved);
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot resume ${saved.record.header.run}: its checkpoint does not fit: ${why}`);
  };
  assignParameters(state.stored, saved.tensors, refuse);
  restoreStates(state.routers, saved.tensors, refuse);
  state.step = counts.step;
  state.firstExperts = firstExpertsOf(saved.tensors);
  state.drops.wanted.set(counts.wanted);
  state.drops.dropped.set(counts.dropped);
  Object.assign(state.routerGradients, counts.routerGradients);
}
