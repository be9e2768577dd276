// A model in several safetensors files: its index, model.safetensors.index.json, says which file holds which tensor.
import type { ByteSource } from "./byte_source.ts";
import { isWeb, openSource, type Place } from "./open_source.ts";
import { readSafetensors, type Safetensors } from "./safetensors.ts";
import { HEADER_LIMIT, type TensorInfo } from "./safetensors_header.ts";
import { isObject, parseJson, quoted, type Refuse } from "./strict_json.ts";

/**
 * Opens all files of an index, so that tensors are read as from one file.
 * @param index The file `model.safetensors.index.json`.
 * @param shard Where the file of a name is; next to the index by default, if that is a path or an address.
 * @throws {RangeError} when the index or a file of it is damaged, or a file lacks a tensor that the index says it has.
 * @throws {Error} when a file is not there or cannot be read, saying why.
 * @example
 * ```ts
 * import { encodeSafetensors, readShardedSafetensors } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const gate = { dtype: "F32", shape: [1], data: Float32Array.of(3) } as const;
 * const index = { weight_map: { gate: "model-00001-of-00001.safetensors" } };
 * const files = new Map([["model-00001-of-00001.safetensors", encodeSafetensors({ gate })]]);
 * const model = await readShardedSafetensors(
 *   new TextEncoder().encode(JSON.stringify(index)),
 *   (file) => files.get(file)!,
 * );
 * assertEquals(await model.floats("gate"), Float32Array.of(3));
 * ```
 */
export async function readShardedSafetensors(
  index: Place,
  shard: (file: string) => Place = neighbourOf(index),
): Promise<Safetensors> {
  const { source, fileOf, refuse } = await readIndex(index);
  const names = [...new Set(fileOf.values())];
  const opened = await Promise.all(
    names.map(async (file) => [file, await readSafetensors(shard(file))] as const),
  );
  const shards = new Map(opened);
  const tensors = new Map<string, TensorInfo>();
  for (const [tensor, file] of fileOf) {
    const { name, tensors: there } = shards.get(file)!;
    tensors.set(tensor, there.get(tensor) ?? refuse(`tensor ${quoted(tensor)} is not in ${name}`));
  }
  const holder = (tensor: string): Safetensors => {
    const file = fileOf.get(tensor);
    if (file !== undefined) return shards.get(file)!;
    throw new RangeError(`Cannot read tensor "${tensor}" of ${source.name}: it has no tensor of that name`);
  };
  return {
    name: source.name,
    tensors,
    metadata: alike(opened.map(([, { metadata }]) => metadata)),
    bytes: async (tensor, part) => await holder(tensor).bytes(tensor, part),
    floats: async (tensor, part) => await holder(tensor).floats(tensor, part),
  };
}

/** Files that an index names. @throws As {@linkcode readShardedSafetensors} does of a damaged index. */
export async function shardsOfIndex(index: Place): Promise<string[]> {
  return [...new Set((await readIndex(index)).fileOf.values())];
}

async function readIndex(
  index: Place,
): Promise<{ readonly source: ByteSource; readonly fileOf: ReadonlyMap<string, string>; refuse: Refuse }> {
  const source = await openSource(index);
  const refuse: Refuse = (why) => {
    throw new RangeError(`Cannot read ${source.name}: ${why}`);
  };
  if (source.bytes > HEADER_LIMIT) {
    refuse(`it has ${source.bytes} bytes, more than an index of ${HEADER_LIMIT}`);
  }
  const bytes = new Uint8Array(source.bytes);
  await source.read(0, bytes);
  return { source, fileOf: weightMap(bytes, refuse), refuse };
}

/** How an index is named, behind the name that its files begin with. */
export const INDEX_ENDING = ".safetensors.index.json";

/** True for what is named as an index is. */
export function isIndex(place: Place): boolean {
  const path = place instanceof URL ? place.pathname : place;
  return typeof path === "string" && path.endsWith(INDEX_ENDING);
}

/** The file of each tensor, as an index says it. */
function weightMap(bytes: Uint8Array, refuse: Refuse): ReadonlyMap<string, string> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse("it is not UTF-8 text");
  }
  const json = parseJson(text, (why) => refuse(`it is not JSON: ${why}`));
  const maps = isObject(json) ? json.members.filter(([name]) => name === "weight_map") : [];
  const [, map] = maps.length === 1
    ? maps[0]
    : refuse(`an index has one "weight_map", this has ${maps.length}`);
  if (!isObject(map)) return refuse(`its "weight_map" is ${quoted(map)}, not an object`);
  const files = new Map<string, string>();
  for (const [tensor, file] of map.members) {
    // Files are next to the index and nowhere else, whoever wrote it.
    if (typeof file !== "string" || !/^[^/\\:]+$/.test(file) || /^\.+$/.test(file)) {
      return refuse(`tensor ${quoted(tensor)} is in ${quoted(file)}, which is no file's name`);
    }
    if (files.has(tensor) && files.get(tensor) !== file) refuse(`tensor ${quoted(tensor)} is in two files`);
    files.set(tensor, file);
  }
  return files;
}

function neighbourOf(index: Place): (file: string) => string | URL {
  if (index instanceof URL || typeof index === "string" && isWeb(index)) {
    return (file) => new URL(encodeURIComponent(file), index);
  }
  if (typeof index === "string") return (file) => index.slice(0, index.lastIndexOf("/") + 1) + file;
  throw new TypeError(
    "Cannot find the files of an index that has neither path nor address: say where they are",
  );
}

/** Texts that all maps have alike. */
function alike([first, ...rest]: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(first ?? {}).filter(([name, text]) =>
      rest.every((other) => Object.hasOwn(other, name) && other[name] === text)
    ),
  );
}
