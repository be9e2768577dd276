// Checkpoints in the safetensors format: 8 bytes with the header's length, the header in JSON, the numbers. Any tool of
// the field opens them, and equal tensors give equal bytes: names are sorted and the header is padded with spaces.
import * as z from "zod";

/** One array of a checkpoint. */
export interface CheckpointTensor {
  readonly values: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

/** What a checkpoint holds. */
export interface Checkpoint {
  readonly tensors: Readonly<Record<string, CheckpointTensor>>;
  /** Texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

const METADATA = "__metadata__";
const whole = z.number().int().min(0);
const entry = z.object({ dtype: z.string(), shape: z.array(whole), data_offsets: z.tuple([whole, whole]) });
const headerOf = z.record(z.string(), z.unknown());
const metadataOf = z.record(z.string(), z.string());

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
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
  tensors: Readonly<Record<string, CheckpointTensor>>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const names = Object.keys(tensors).sort();
  const header: [string, unknown][] = [[METADATA, metadata]];
  let size = 0;
  for (const name of names) {
    const { values, shape } = tensors[name];
    if (name === METADATA) {
      throw new RangeError(`Cannot save tensor "${name}": the format keeps that name for texts`);
    }
    if (elements(shape) !== values.length) {
      throw new RangeError(
        `Cannot save tensor "${name}": shape [${shape}] does not hold ${values.length} values`,
      );
    }
    header.push([name, {
      dtype: values instanceof Float32Array ? "F32" : "I32",
      shape,
      data_offsets: [size, size + values.byteLength],
    }]);
    size += values.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + length + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, 8);
  bytes.fill(0x20, 8 + text.length, 8 + length);
  let at = 8 + length;
  for (const name of names) {
    const { values } = tensors[name];
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return bytes;
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
  const refuse = (found: string): never => {
    throw new RangeError(`Cannot read checkpoint ${name}: ${found}`);
  };
  if (bytes.length < 8) refuse(`it has ${bytes.length} bytes, too few for a header`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > bytes.length - 8) {
    refuse(
      `its header should have ${length} bytes, and ${bytes.length - 8} are there; it is cut short or damaged`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch {
    refuse("its header is not JSON; the file is damaged or no checkpoint");
  }
  const { [METADATA]: texts, ...rest } = headerOf.safeParse(json).data ??
    refuse("its header is not a JSON object");
  const metadata = metadataOf.safeParse(texts ?? {}).data ??
    refuse(`its "${METADATA}" is not a map of texts`);
  const data = bytes.subarray(8 + length);
  const entries = Object.entries(rest).map(([tensor, value]) => {
    const found = entry.safeParse(value).data ?? refuse(`the header's entry for "${tensor}" is malformed`);
    return { tensor, ...found };
  }).sort((a, b) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]);
  let end = 0;
  const tensors = entries.map(({ tensor, dtype, shape, data_offsets: [from, to] }) => {
    if (dtype !== "F32" && dtype !== "I32") {
      refuse(`"${tensor}" is stored as ${dtype}; known are F32 and I32`);
    }
    if (from !== end) refuse(`"${tensor}" should start at byte ${end} of the data, not ${from}`);
    if (to - from !== 4 * elements(shape)) {
      refuse(`"${tensor}" has ${to - from} bytes for a shape [${shape}] of ${elements(shape)} values`);
    }
    if (to > data.length) {
      refuse(
        `"${tensor}" should end at byte ${to} of the data, and ${data.length} are there; it is cut short`,
      );
    }
    end = to;
    const { buffer } = data.slice(from, to);
    return [tensor, {
      values: dtype === "F32" ? new Float32Array(buffer) : new Int32Array(buffer),
      shape,
    }] as const;
  });
  if (end !== data.length) refuse(`it has ${data.length - end} bytes after its last tensor`);
  return { tensors: Object.fromEntries(tensors), metadata };
}
