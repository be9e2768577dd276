// The files of one run: its record, its timings and its checkpoint. Rows are added to unfinished files before the
// checkpoint that names how many there are, so a run stopped between the two resumes from the older step and writes the
// same rows again; at the end the rows get the record's name.
import { type CheckpointTensor, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { firstLine } from "../formats/file_on_disk.ts";
import { isMissing, readBytes, readText, removeIfThere, rename, writeAtomic } from "../formats/files.ts";
import { runningDigest } from "../tasks/digest.ts";
import type { RecordRow, RunHeader, RunRecord, TimingRecord } from "./record.ts";
import { parseRecord, rowText } from "./record_text.ts";
import { type LogMark, type RowLog, rowLog } from "./row_log.ts";

/** What stands in the names of files that grow until their run is finished. */
export const UNFINISHED = ".unfinished";

/** How the name of a run's model ends. */
export const MODEL_ENDING = ".model.safetensors";

/** What a stopped run left. */
export interface SavedRun {
  /** Rows so far. */
  readonly record: RunRecord;
  /** Seconds so far. */
  readonly timing: TimingRecord;
  /** Arrays of the checkpoint by name. */
  readonly tensors: Readonly<Record<string, CheckpointTensor>>;
  /** Texts of the checkpoint by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A run's place on disk. */
export interface RunStore {
  /** Where a checkpoint is, while there is one. */
  readonly checkpointPath: string;
  /** Where the model is, when the run keeps one. */
  readonly modelPath: string;
  /**
   * Saves a checkpoint and the rows that came since the last one: `rows` and `timing` hold all, as they were before and
   * with new ones at their ends.
   */
  save(
    rows: readonly RecordRow[],
    timing: TimingRecord,
    tensors: Readonly<Record<string, CheckpointTensor>>,
    metadata: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Saves all rows and takes the checkpoint away. */
  finish(rows: readonly RecordRow[], timing: TimingRecord): Promise<void>;
  /** First row of what is written, or null. */
  header(): Promise<RunHeader | null>;
  /** A finished run's record, or null. */
  finished(): Promise<{ record: RunRecord; timing: TimingRecord } | null>;
  /** What a stopped run left, or null when there is no checkpoint. */
  saved(): Promise<SavedRun | null>;
}

/**
 * Opens a run's files under `folder`, which must exist; nothing is read or written yet.
 * Its functions throw an Error that says why when a file cannot be read or written, or is damaged.
 * @example
 * ```ts
 * import { openRunStore } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * const store = openRunStore(folder, "switch-seed0");
 * assertEquals([await store.saved(), await store.finished()], [null, null]);
 * await Deno.remove(folder);
 * ```
 */
export function openRunStore(folder: string, run: string): RunStore {
  const recordPath = `${folder}/${run}.jsonl`;
  const timingPath = `${folder}/${run}.timing.json`;
  const checkpointPath = `${folder}/${run}.safetensors`;
  const modelPath = `${folder}/${run}${MODEL_ENDING}`;
  const rowsSoFar = rowLog(`${folder}/${run}${UNFINISHED}.jsonl`);
  const stepsSoFar = rowLog(`${folder}/${run}${UNFINISHED}.timing.jsonl`);

  async function append(rows: readonly RecordRow[], { steps }: TimingRecord): Promise<void> {
    await stepsSoFar.append(steps, (step) => JSON.stringify(step) + "\n");
    await rowsSoFar.append(rows, (row) => rowText(row as RecordRow));
  }
  async function backTo(log: RowLog, mark: LogMark): Promise<string> {
    const text = await log.backTo(mark);
    if (text !== null) return text;
    throw new RangeError(
      `Cannot resume ${run}: ${log.path} is damaged: it is not what was written up to the last checkpoint; ` +
        "remove the run's files to train it anew",
    );
  }
  return {
    checkpointPath,
    modelPath,
    async save(rows, timing, tensors, metadata) {
      await append(rows, timing);
      const { steps: _, ...place } = timing;
      const all = {
        ...metadata,
        run,
        rows: JSON.stringify(rowsSoFar.mark),
        timing: JSON.stringify({ ...place, steps: stepsSoFar.mark }),
      };
      const checksum = checksumOf(tensors, all);
      await writeCheckpoint(checkpointPath, tensors, { ...all, checksum });
    },
    async finish(rows, timing) {
      await append(rows, timing);
      await writeAtomic(
        timingPath,
        JSON.stringify({ ...timing, recordDigest: rowsSoFar.mark.digest }) + "\n",
      );
      await rename(rowsSoFar.path, recordPath);
      await removeIfThere(stepsSoFar.path);
      await removeIfThere(checkpointPath);
    },
    async header() {
      for (const path of [recordPath, rowsSoFar.path]) {
        if (!await isMissing(path)) return parseRecord(await firstLine(path), path).header;
      }
      return null;
    },
    async finished() {
      if (await isMissing(recordPath)) return null;
      const bytes = await readBytes(recordPath);
      const { recordDigest, ...timing } = parseTiming(await readText(timingPath), timingPath);
      if (recordDigest !== undefined && recordDigest !== digestOfBytes(bytes)) {
        throw new RangeError(
          `Cannot read record ${recordPath}: it is not what the run wrote, as its checksum in ${timingPath} shows; ` +
            "restore it, or remove the run's files to train it anew",
        );
      }
      const record = parseRecord(new TextDecoder().decode(bytes), recordPath);
      // A run stopped between its record and this leaves its last checkpoint behind.
      await removeIfThere(stepsSoFar.path);
      await removeIfThere(checkpointPath);
      return { record, timing };
    },
    async saved() {
      if (await isMissing(checkpointPath)) return null;
      const { tensors, metadata } = await readCheckpoint(checkpointPath);
      const { rows, timing, ...own } = checkedMetadata(run, tensors, metadata, checkpointPath);
      const { steps, ...place } = JSON.parse(timing);
      const record = parseRecord(await backTo(rowsSoFar, JSON.parse(rows)), rowsSoFar.path);
      const lines = (await backTo(stepsSoFar, steps)).split("\n").filter((line) => line !== "");
      const timings = lines.map((line) => JSON.parse(line));
      return { record, timing: { ...place, steps: timings }, tensors, metadata: own };
    },
  };
}

/** SHA-256 over everything a checkpoint holds. */
function checksumOf(
  tensors: Readonly<Record<string, CheckpointTensor>>,
  metadata: Readonly<Record<string, string>>,
): string {
  const digest = runningDigest();
  for (const name of Object.keys(metadata).sort()) {
    for (const text of [name, metadata[name]]) digest.add(text);
  }
  for (const name of Object.keys(tensors).sort()) {
    const { values, shape } = tensors[name];
    digest.add(`${name} [${shape.join()}]`);
    digest.add(values);
  }
  return digest.hexadecimal();
}

/** A checkpoint's metadata but for its name and checksum. @throws {RangeError} when it is another run's, or damaged. */
function checkedMetadata(
  run: string,
  tensors: Readonly<Record<string, CheckpointTensor>>,
  { checksum, ...all }: Readonly<Record<string, string>>,
  path: string,
): Readonly<Record<string, string>> {
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot resume ${run}: ${path} ${why}; remove it to train the run anew`);
  };
  const { run: found, ...metadata } = all;
  if (found !== undefined && found !== run) refuse(`is the checkpoint of "${found}"`);
  if (checksum === undefined) refuse("has lost its metadata: it has no checksum");
  if (checksum !== checksumOf(tensors, all)) refuse("is damaged: its checksum does not fit");
  return metadata;
}

/** Timings as a finished run's file holds them. */
interface TimingFile extends TimingRecord {
  /** SHA-256 of the record beside it; absent in files from before it was kept. */
  readonly recordDigest?: string;
}

function digestOfBytes(bytes: Uint8Array): string {
  const digest = runningDigest();
  digest.piece(bytes);
  return digest.soFar();
}

function parseTiming(text: string, path: string): TimingFile {
  try {
    const found = JSON.parse(text) as TimingFile;
    if (Array.isArray(found?.steps)) return found;
  } catch {
    // said below
  }
  throw new RangeError(
    `Cannot read timings ${path}: the file is damaged; remove the run's files to train it anew`,
  );
}
