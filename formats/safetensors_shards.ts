// A model written as several safetensors files and their index, as hubs keep large ones. Files come first and the index
// last, so that a reader finds the model that was there before or the whole of the new one.
import { isMissing, pathOf, removeIfThere, writeAtomic } from "./files.ts";
import { INDEX_ENDING, shardsOfIndex } from "./safetensors_index.ts";
import {
  bytesOfTensor,
  type TensorToMake,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors_write.ts";

/** Settings of {@linkcode writeShardedSafetensors}. */
export interface ShardOptions {
  /** Most bytes of tensors in one file; a tensor that takes more has a file of its own. */
  readonly shardBytes: number;
  /** Texts by name, written to every file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes tensors as several safetensors files, in the order they are given, and the index that makes one model of them:
 * `model-00001-of-00002.safetensors`, ..., `model.safetensors.index.json`. Each file is written a tensor at a time. The index
 * is written when all of them are on the disk, and files of the index that was there before go after that; files of
 * a writer that was killed stay, and no index names them. Give one place one writer at a time.
 * @param index Path of the index, which ends in `.safetensors.index.json`.
 * @returns Names of the files, next to the index.
 * @throws {RangeError} as {@linkcode writeSafetensors} does, when `shardBytes` is no whole number from 1, or for an
 * index of another ending.
 * @throws {Error} when a file cannot be written or a tensor not made, saying why; what was there before is left then.
 * @example
 * ```ts
 * import { readShardedSafetensors, writeShardedSafetensors } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * const row = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * const index = `${folder}/model.safetensors.index.json`;
 * const files = await writeShardedSafetensors(index, { a: row, b: row, c: row }, { shardBytes: 16 });
 * assertEquals(files, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
 * assertEquals(await (await readShardedSafetensors(index)).floats("c"), Float32Array.of(1, 2));
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeShardedSafetensors(
  index: string | URL,
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
  { shardBytes, metadata }: ShardOptions,
): Promise<string[]> {
  const path = pathOf(index);
  if (!path.endsWith(INDEX_ENDING)) {
    throw new RangeError(`Cannot write ${path}: the index of several files ends in ${INDEX_ENDING}`);
  }
  if (!Number.isSafeInteger(shardBytes) || shardBytes < 1) {
    throw new RangeError(`Cannot write files of ${shardBytes} bytes: choose a whole number from 1`);
  }
  const shards = cut(tensors, shardBytes);
  const base = path.slice(0, -INDEX_ENDING.length);
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const before = await filesBefore(path, folder);
  const paths = await freePaths(base, shards.length);
  const written: string[] = [];
  try {
    for (const [at, names] of shards.entries()) {
      written.push(paths[at]);
      await writeSafetensors(
        paths[at],
        Object.fromEntries(names.map((name) => [name, tensors[name]])),
        metadata,
      );
    }
    await writeAtomic(path, indexText(tensors, shards, paths.map((one) => one.slice(folder.length))));
  } catch (error) {
    for (const one of written) await removeIfThere(one);
    throw error;
  }
  for (const one of before) if (!paths.includes(one)) await removeIfThere(one);
  return paths.map((one) => one.slice(folder.length));
}

/** Names of tensors by file: in order, as many as fit. */
function cut(
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
  shardBytes: number,
): string[][] {
  const shards: string[][] = [[]];
  let room = shardBytes;
  for (const [name, tensor] of Object.entries(tensors)) {
    const bytes = bytesOfTensor(tensor);
    if (bytes > room && shards.at(-1)!.length > 0) {
      shards.push([]);
      room = shardBytes;
    }
    shards.at(-1)!.push(name);
    room -= bytes;
  }
  return shards;
}

/** Paths of the usual names; with a word of this write between, where a file of theirs is there. */
async function freePaths(base: string, count: number): Promise<string[]> {
  const digits = (number: number) => String(number).padStart(5, "0");
  const named = (word: string) =>
    Array.from(
      { length: count },
      (_, at) => `${base}${word}-${digits(at + 1)}-of-${digits(count)}.safetensors`,
    );
  const usual = named("");
  const missing = await Promise.all(usual.map((path) => isMissing(path)));
  if (missing.every((each) => each)) return usual;
  const [word] = crypto.getRandomValues(new Uint32Array(1));
  return named(`-${word.toString(16).padStart(8, "0")}`);
}

/** Paths of the files of the index that is there, if it is one. */
async function filesBefore(index: string, folder: string): Promise<string[]> {
  if (await isMissing(index)) return [];
  return (await shardsOfIndex(index)).map((name) => folder + name);
}

function indexText(
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
  shards: readonly (readonly string[])[],
  files: readonly string[],
): string {
  const total = Object.values(tensors).reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);
  const placed = shards.flatMap((names, at) => names.map((name) => [name, files[at]] as const));
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(placed) };
  return `${JSON.stringify(index, null, 2)}\n`;
}
