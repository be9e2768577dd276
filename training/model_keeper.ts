// Which of a run's models stays: the last one, or the one whose loss on held-out examples was lowest. It is written at once
// and whole, so that a run stopped anywhere has left the best one up to then.
import { isMissing } from "../formats/files.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import type { EvaluationRow } from "./record.ts";
import type { RunStore } from "./run_store.ts";
import type { KeptStep, ModelOrigin } from "./saved_model.ts";

/** A point of a run: its loss on held-out examples after some steps. */
type Point = Pick<EvaluationRow, "step" | "loss">;

/** Sees every point of a run. */
export interface ModelKeeper {
  see(point: Point, isLast: boolean): Promise<void>;
}

/**
 * @param points Those that the run has behind it.
 * @param save Writes the model as it is now.
 */
export function createModelKeeper(
  kept: KeptStep,
  points: readonly Point[],
  save: () => Promise<void>,
): ModelKeeper {
  const known = points.map(({ loss }) => loss);
  let least = known.length === 0 ? null : Math.min(...known);
  return {
    async see({ loss }, isLast) {
      const isBest = least === null || loss < least;
      if (isBest) least = loss;
      if (kept === "last" ? isLast : isBest) await save();
    },
  };
}

/**
 * Checks that a run which has taken some steps has kept its model all along.
 * @throws {RangeError} when it has not: the weights that were to be kept are gone.
 */
export async function checkKept(
  { modelPath }: RunStore,
  kept: KeptStep,
  { run, steps }: { readonly run: string; readonly steps: number },
): Promise<void> {
  if (!await isMissing(modelPath)) {
    const { metadata } = await readSafetensors(modelPath);
    const origin = JSON.parse(metadata.switchyard ?? "{}") as Partial<ModelOrigin>;
    if (origin.kept === kept && origin.run === run) return;
  }
  throw new RangeError(
    `Cannot keep the ${kept} model of ${run}: it was trained for ${steps} steps without keeping it, and it is not in ` +
      `${modelPath}; do not keep it, or train the run anew in another folder`,
  );
}
