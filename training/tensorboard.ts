// A run's scalars for TensorBoard. Every save adds what is new behind a file of events, after the checkpoint, so that a run
// that goes on from it finds nothing to take back: TensorBoard follows the file while the run trains.
import { appendAt, isMissing, readBytes } from "../formats/files.ts";
import { recordEnds, scalarRecord, versionRecord } from "../formats/tensorboard_events.ts";
import type { EndRow, EvaluationRow, RecordRow, StepRow } from "./record.ts";
import { recordRows } from "./record_text.ts";
import type { RunStore } from "./run_store.ts";

/** Name of the file in a run's folder: TensorBoard looks for "tfevents". */
const FILE = "events.out.tfevents.switchyard";

/**
 * A store that also writes the run's scalars as TensorBoard reads them, with every save: losses, learning rate, gradient
 * norm, dropped share, load, entropy, near ties and tokens that changed expert by layer, and what routers log. A finished
 * run that is looked up gets the file it lacks.
 * @param folder Where `events.out.tfevents.switchyard` goes; it must exist. TensorBoard names a run after its folder.
 * @example
 * ```ts
 * import { openRunStore, withTensorBoard } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * const store = withTensorBoard(openRunStore(folder, "switch-seed0"), folder);
 * // await train(config, { backend, data, store }), and in a shell: tensorboard --logdir FOLDER
 * assertEquals(await store.finished(), null);
 * await Deno.remove(folder);
 * ```
 */
export function withTensorBoard(store: RunStore, folder: string): RunStore {
  const events = eventFile(`${folder}/${FILE}`);
  return {
    ...store,
    async save(rows, ...rest) {
      await store.save(rows, ...rest);
      await events.append(rows);
    },
    async finish(rows, timing) {
      await store.finish(rows, timing);
      await events.append(rows);
    },
    async finished() {
      const found = await store.finished();
      if (found) {
        const rows = recordRows(found.record);
        await events.goOn(rows);
        await events.append(rows);
      }
      return found;
    },
    async saved() {
      const found = await store.saved();
      if (found) await events.goOn(recordRows(found.record));
      return found;
    },
  };
}

/** A file with one record for each row but the last of a finished run, which holds no scalars. */
function eventFile(path: string) {
  let written = 0;
  let bytes = 0;
  let last = Date.now();
  async function append(rows: readonly RecordRow[]): Promise<void> {
    const fresh = rows.slice(written).filter((row) => row.kind !== "end");
    const now = Date.now();
    // Rows do not say when they were made: the time since the last save is shared out among them.
    const records = fresh.map((row, at) =>
      recordOf(row, (last + (now - last) * (at + 1) / fresh.length) / 1000) as Uint8Array<ArrayBuffer>
    );
    const added = new Uint8Array(await new Blob(records).arrayBuffer());
    await appendAt(path, bytes, added);
    [written, bytes, last] = [written + fresh.length, bytes + added.length, now];
  }
  return {
    append,
    /** Goes on behind what is there of a run's rows. */
    async goOn(rows: readonly RecordRow[]): Promise<void> {
      const ends = await isMissing(path) ? [] : recordEnds(await readBytes(path)).slice(0, rows.length);
      [written, bytes, last] = [ends.length, ends.at(-1) ?? 0, Date.now()];
    },
  };
}

function recordOf(row: Exclude<RecordRow, EndRow>, wallTime: number): Uint8Array {
  if (row.kind === "run") return versionRecord(wallTime);
  return scalarRecord({ wallTime, step: row.step, scalars: scalarsOf(row) });
}

function ofPoint({ loss, choices = [] }: EvaluationRow): Record<string, number> {
  const scalars: Record<string, number> = { "loss/validation": loss };
  for (const { layer, nearTies, changed } of choices) {
    if (nearTies !== null) scalars[`near_ties/layer_${layer}`] = nearTies;
    if (changed !== undefined) scalars[`changed_experts/layer_${layer}`] = changed;
  }
  return scalars;
}

/** A row's scalars by tag. */
export function scalarsOf(row: StepRow | EvaluationRow): Record<string, number> {
  if (row.kind === "evaluation") return ofPoint(row);
  const scalars: Record<string, number> = {
    "loss/training": row.loss,
    "optimizer/learning_rate": row.learningRate,
    "optimizer/gradient_norm": row.gradientNorm,
  };
  for (const [name, value] of Object.entries(row.losses)) scalars[`router_loss/${name}`] = value;
  for (const { layer, droppedShare, coefficientOfVariation, gateEntropy } of row.layers) {
    scalars[`dropped_share/layer_${layer}`] = droppedShare;
    scalars[`load_cv/layer_${layer}`] = coefficientOfVariation;
    if (gateEntropy !== null) scalars[`gate_entropy/layer_${layer}`] = gateEntropy;
  }
  for (const [name, value] of Object.entries(row.scalars ?? {})) {
    scalars[`router/${name.replace(/, layer (\d+)$/, "/layer_$1")}`] = value;
  }
  return scalars;
}
