// The files of one run: its record, its timings and its checkpoint. The record is written before the checkpoint, so a
// run stopped between the two resumes from the older step and writes the same rows again.
import { type CheckpointTensor, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { isMissing, readBytes, readText, removeIfThere, writeAtomic } from "../formats/files.ts";
import { runningDigest } from "../tasks/digest.ts";
import type { RecordRow, RunHeader, RunRecord, TimingRecord } from "./record.ts";
import { parseRecord, recordText } from "./record_text.ts";

/** What a stopped run left. */
export interface SavedRun {
  readonly record: RunRecord;
  readonly timing: TimingRecord;
  readonly tensors: Readonly<Record<string, CheckpointTensor>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A run's place on disk. */
export interface RunStore {
  /** Where a checkpoint is, while there is one. */
  readonly checkpointPath: string;
  /** Saves rows so far and a checkpoint. */
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

  async function write(rows: readonly RecordRow[], timing: TimingRecord): Promise<void> {
    await writeAtomic(timingPath, JSON.stringify(timing) + "\n");
    await writeAtomic(recordPath, recordText(rows));
  }
  async function load(): Promise<{ record: RunRecord; timing: TimingRecord } | null> {
    if (await isMissing(recordPath)) return null;
    return {
      record: parseRecord(await readText(recordPath), recordPath),
      timing: parseTiming(await readText(timingPath), timingPath),
    };
  }
  return {
    checkpointPath,
    async save(rows, timing, tensors, metadata) {
      await write(rows, timing);
      const checksum = checksumOf(run, tensors, metadata);
      await writeAtomic(checkpointPath, encodeCheckpoint(tensors, { ...metadata, run, checksum }));
    },
    async finish(rows, timing) {
      await write(rows, timing);
      await removeIfThere(checkpointPath);
    },
    async header() {
      return (await load())?.record.header ?? null;
    },
    async finished() {
      const found = await load();
      if (!found?.record.end) return null;
      // A run stopped between its record and this leaves its last checkpoint behind.
      await removeIfThere(checkpointPath);
      return found;
    },
    async saved() {
      if (await isMissing(checkpointPath)) return null;
      const found = await load();
      if (!found) return null;
      const { tensors, metadata } = decodeCheckpoint(await readBytes(checkpointPath), checkpointPath);
      return { ...found, tensors, metadata: checkedMetadata(run, tensors, metadata, checkpointPath) };
    },
  };
}

/** SHA-256 over everything a checkpoint holds. */
function checksumOf(
  run: string,
  tensors: Readonly<Record<string, CheckpointTensor>>,
  metadata: Readonly<Record<string, string>>,
): string {
  const digest = runningDigest();
  digest.add(run);
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

/** A checkpoint's own metadata. @throws {RangeError} when it is another run's, or not what was written. */
function checkedMetadata(
  run: string,
  tensors: Readonly<Record<string, CheckpointTensor>>,
  { run: found, checksum, ...metadata }: Readonly<Record<string, string>>,
  path: string,
): Readonly<Record<string, string>> {
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot resume ${run}: ${path} ${why}; remove it to train the run anew`);
  };
  if (found !== undefined && found !== run) refuse(`is the checkpoint of "${found}"`);
  if (checksum === undefined) refuse("has lost its metadata: it has no checksum");
  if (checksum !== checksumOf(run, tensors, metadata)) refuse("is damaged: its checksum does not fit");
  return metadata;
}

function parseTiming(text: string, path: string): TimingRecord {
  try {
    const found = JSON.parse(text) as TimingRecord;
    if (Array.isArray(found?.steps)) return found;
  } catch {
    // said below
  }
  throw new RangeError(
    `Cannot read timings ${path}: the file is damaged; remove the run's files to train it anew`,
  );
}
