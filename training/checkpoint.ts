// Checkpoints: safetensors files of 32-bit numbers and texts, which any tool of the field opens. Equal tensors and texts give
// equal bytes.
import type { SafetensorsDtype } from "../formats/number_formats.ts";
import { headerOf } from "../formats/safetensors_header.ts";
import type { Place } from "../formats/open_source.ts";
import { readSafetensors, type Safetensors } from "../formats/safetensors.ts";
import { encodeSafetensors, type TensorToWrite, writeSafetensors } from "../formats/safetensors_write.ts";

/** One array of a checkpoint. */
export interface CheckpointTensor {
  /** Row-major. */
  readonly values: Float32Array | Int32Array;
  /** Its dimensions; none for a single number. */
  readonly shape: readonly number[];
}

/** What a checkpoint holds. */
export interface Checkpoint {
  /** Arrays by name. */
  readonly tensors: Readonly<Record<string, CheckpointTensor>>;
  /** Texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Writes tensors and texts as safetensors.
 * @throws {RangeError} when a shape does not fit its values, or a tensor has the name the format keeps for texts.
 * @example
 * ```ts
 * import { decodeCheckpoint, encodeCheckpoint } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const gate = { values: Float32Array.of(1, 2), shape: [2, 1] };
 * const bytes = encodeCheckpoint({ gate }, { note: "mine" });
 * assertEquals(decodeCheckpoint(bytes, "mine"), { tensors: { gate }, metadata: { note: "mine" } });
 * ```
 */
export function encodeCheckpoint(
  tensors: Checkpoint["tensors"],
  metadata: Checkpoint["metadata"],
): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(toWrite(tensors), metadata);
}

/**
 * Reads safetensors with 32-bit numbers. Every length and offset is checked before it is used.
 * @param name What to call the file in errors.
 * @throws {RangeError} when the bytes are cut short, damaged, or hold numbers of another kind.
 * @example
 * ```ts
 * import { decodeCheckpoint, encodeCheckpoint } from "@switchyard/moe/training";
 * import { assertThrows } from "@std/assert";
 * const bytes = encodeCheckpoint({ gate: { values: Float32Array.of(1, 2), shape: [2] } }, {});
 * const cut = bytes.subarray(0, bytes.length - 1);
 * assertThrows(() => decodeCheckpoint(cut, "mine"), RangeError, "it is cut short");
 * ```
 */
export function decodeCheckpoint(bytes: Uint8Array, name: string): Checkpoint {
  const refuse = refusal(`checkpoint ${name}`);
  const { tensors, metadata, dataStart } = headerOf(bytes, refuse);
  const found = [...tensors].map(([tensor, { dtype, shape, from, bytes: size }]) => {
    // A copy: the slice of Node's Buffer is a view of the whole file.
    const { buffer } = new Uint8Array(bytes.subarray(dataStart + from, dataStart + from + size));
    return [tensor, { values: valuesOf(tensor, dtype, buffer, refuse), shape }] as const;
  });
  return { tensors: Object.fromEntries(found), metadata };
}

/**
 * Writes a checkpoint as a file, a tensor at a time; a failure leaves the file that was there.
 * @throws {RangeError} as encodeCheckpoint() does.
 * @throws {Error} when the file cannot be written, saying why.
 */
export async function writeCheckpoint(
  path: string,
  tensors: Checkpoint["tensors"],
  metadata: Checkpoint["metadata"],
): Promise<void> {
  await writeSafetensors(path, toWrite(tensors), metadata);
}

/**
 * Reads a checkpoint's file, a tensor at a time.
 * @param name What errors call it.
 * @throws {RangeError} as decodeCheckpoint() does.
 * @throws {Error} when the file cannot be read, saying why.
 */
export async function readCheckpoint(place: Place, name = `checkpoint ${place}`): Promise<Checkpoint> {
  return await readTensors(await readSafetensors(place, name));
}

/** An opened checkpoint, a tensor at a time: all of it, or the tensors that are wanted. */
export async function readTensors(
  file: Safetensors,
  wanted: (tensor: string) => boolean = () => true,
): Promise<Checkpoint> {
  const refuse = refusal(file.name);
  const found: [string, CheckpointTensor][] = [];
  for (const [tensor, { dtype, shape }] of file.tensors) {
    if (!wanted(tensor)) continue;
    const { buffer } = await file.bytes(tensor);
    found.push([tensor, { values: valuesOf(tensor, dtype, buffer, refuse), shape }]);
  }
  return { tensors: Object.fromEntries(found), metadata: file.metadata };
}

function refusal(name: string): (why: string) => never {
  return (why) => {
    throw new RangeError(`Cannot read ${name}: ${why}`);
  };
}

function toWrite(tensors: Checkpoint["tensors"]): Record<string, TensorToWrite> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { values, shape }]) => [name, {
      dtype: values instanceof Float32Array ? "F32" : "I32",
      shape,
      data: values,
    }]),
  );
}

function valuesOf(
  tensor: string,
  dtype: SafetensorsDtype,
  bytes: ArrayBuffer,
  refuse: (why: string) => never,
): CheckpointTensor["values"] {
  if (dtype === "F32") return new Float32Array(bytes);
  return dtype === "I32"
    ? new Int32Array(bytes)
    : refuse(`tensor "${tensor}" is stored as ${dtype}; checkpoints hold F32 and I32`);
}
