// The header of a safetensors file, read as strictly as the reference reader does and written as the reference writer does: 8
// bytes with its length, its JSON, spaces up to a multiple of 8 bytes. The numbers of all tensors follow without gaps.
import { bitsOf, dtypes, isDtype, type SafetensorsDtype } from "./number_formats.ts";
import {
  isObject,
  isSame,
  type Json,
  type JsonObject,
  parseJson,
  quoted,
  type Refuse,
} from "./strict_json.ts";

/** A tensor of a file, as its header describes it. */
export interface TensorInfo {
  /** Kind of its numbers. */
  readonly dtype: SafetensorsDtype;
  /** Sizes of its dimensions; none for a single number. */
  readonly shape: readonly number[];
  /** Bytes of its numbers. */
  readonly bytes: number;
}

/** A tensor and its place among the numbers. */
export interface PlacedTensor extends TensorInfo {
  /** Bytes of the tensors before it. */
  readonly from: number;
}

/** What a header says. */
export interface Header {
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes in front of the header: its length. */
export const LENGTH_BYTES = 8;
/** Bytes that a header may have. */
export const HEADER_LIMIT = 100_000_000;
/** The name that texts have among tensors. */
export const METADATA = "__metadata__";

/**
 * Length of a file's header.
 * @param start The file's first 8 bytes, or all when it has fewer.
 */
export function headerLength(start: Uint8Array, fileBytes: number, refuse: Refuse): number {
  if (start.length < LENGTH_BYTES) return refuse(`it has ${start.length} bytes, too few for a header`);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  const there = fileBytes - LENGTH_BYTES;
  if (length > there) {
    return refuse(
      `its header should have ${length} bytes, and ${there} are there; it is cut short or damaged`,
    );
  }
  if (length > HEADER_LIMIT) {
    return refuse(`its header has ${length} bytes; the format allows ${HEADER_LIMIT}`);
  }
  return Number(length);
}

/**
 * What a header says, once all of it is checked.
 * @param bytes The header without its length.
 * @param dataBytes Bytes of the file after it.
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, refuse: Refuse): Header {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse("its header is not UTF-8 text");
  }
  const header = parseJson(text, (why) => refuse(`its header is not JSON: ${why}`));
  if (!isObject(header)) return refuse(`its header is ${quoted(header)}, not a JSON object`);
  const entries = new Map<string, Json>();
  for (const [name, entry] of header.members) {
    // Harmless where both say the same, and the reference takes it.
    if (entries.has(name) && !isSame(entries.get(name)!, entry)) {
      refuse(`tensor ${quoted(name)} is there twice, and its entries differ`);
    }
    if (name !== METADATA) entries.set(name, entry);
  }
  const tensors = new Map([...entries].map(([name, entry]) => [name, tensorOf(name, entry, refuse)]));
  const metadata = metadataOf(only(header, METADATA, "its header", refuse), refuse);
  return { tensors: inOrder(tensors, dataBytes, refuse), metadata };
}

/**
 * The header of a file in memory.
 * @returns What it says, and the place of the first byte after it.
 */
export function headerOf(file: Uint8Array, refuse: Refuse): Header & { readonly dataStart: number } {
  const length = headerLength(file.subarray(0, LENGTH_BYTES), file.length, refuse);
  const dataStart = LENGTH_BYTES + length;
  const header = parseHeader(file.subarray(LENGTH_BYTES, dataStart), file.length - dataStart, refuse);
  return { ...header, dataStart };
}

/** The one member of a name; undefined when there is none. */
function only(object: JsonObject, name: string, where: string, refuse: Refuse): Json | undefined {
  const found = object.members.filter(([member]) => member === name);
  return found.length < 2 ? found[0]?.[1] : refuse(`${where} has ${quoted(name)} ${found.length} times`);
}

function metadataOf(found: Json | undefined, refuse: Refuse): Record<string, string> {
  if (found === undefined || found === null) return {};
  if (!isObject(found)) return refuse(`its "${METADATA}" is ${quoted(found)}, not a map of texts`);
  const texts = new Map<string, string>();
  for (const [name, text] of found.members) {
    if (typeof text !== "string") {
      return refuse(`its "${METADATA}" is not a map of texts: ${quoted(name)} is ${quoted(text)}`);
    }
    if (texts.has(name)) refuse(`its "${METADATA}" has ${quoted(name)} twice`);
    texts.set(name, text);
  }
  return Object.fromEntries(texts);
}

function tensorOf(name: string, entry: Json, refuse: Refuse): PlacedTensor {
  const tensor = `tensor ${quoted(name)}`;
  if (!isObject(entry)) return refuse(`${tensor} is described by ${quoted(entry)}, not by an object`);
  const [dtype, shape, offsets] = ["dtype", "shape", "data_offsets"].map((field) =>
    only(entry, field, tensor, refuse)
  );
  if (!isDtype(dtype)) return refuse(`${tensor} has dtype ${quoted(dtype)}; known are ${dtypes.join(", ")}`);
  if (!isWholeNumbers(shape)) {
    return refuse(`${tensor} has shape ${quoted(shape)}; a shape is a list of whole numbers from 0 on`);
  }
  if (!isWholeNumbers(offsets) || offsets.length !== 2 || offsets[1] < offsets[0]) {
    return refuse(
      `${tensor} has data_offsets ${
        quoted(offsets)
      }; these are the byte it begins at and the byte after its end`,
    );
  }
  const bytes = bytesOf(tensor, dtype, shape, refuse);
  const there = offsets[1] - offsets[0];
  if (there !== bytes) {
    refuse(`${tensor} has ${there} bytes, and its shape ${quoted(shape)} of ${dtype} takes ${bytes}`);
  }
  return { dtype, shape: shape.map(Number), bytes: Number(bytes), from: Number(offsets[0]) };
}

function isWholeNumbers(value: Json | undefined): value is readonly bigint[] {
  return Array.isArray(value) &&
    value.every((one) => typeof one === "bigint" && BigInt.asUintN(64, one) === one);
}

/** Bytes that a shape takes, computed in 64 bits as the reference does. */
function bytesOf(tensor: string, dtype: SafetensorsDtype, shape: readonly bigint[], refuse: Refuse): bigint {
  let bits = 1n;
  const grow = (factor: bigint) => {
    bits *= factor;
    if (bits === BigInt.asUintN(64, bits)) return;
    refuse(`${tensor} has shape ${quoted(shape)} of ${dtype}, whose size is past 64 bits`);
  };
  shape.forEach(grow);
  grow(BigInt(bitsOf(dtype)));
  const large = shape.find((size) => size > Number.MAX_SAFE_INTEGER);
  if (large !== undefined) {
    refuse(`${tensor} has a dimension of ${large}, past what numbers here count exactly`);
  }
  if (bits % 8n === 0n) return bits / 8n;
  return refuse(`${tensor} has shape ${quoted(shape)} of ${dtype}: ${bits} bits, which are no whole bytes`);
}

/** Tensors in the order of their numbers, which cover the rest of the file without gap or overlap. */
function inOrder(
  tensors: ReadonlyMap<string, PlacedTensor>,
  dataBytes: number,
  refuse: Refuse,
): ReadonlyMap<string, PlacedTensor> {
  const placed = [...tensors].sort(([, a], [, b]) => a.from - b.from || a.bytes - b.bytes);
  let end = 0;
  for (const [name, { from, bytes }] of placed) {
    const tensor = `tensor ${quoted(name)}`;
    if (from > end) {
      refuse(`${tensor} begins at byte ${from} of the data, and bytes from ${end} on belong to none`);
    }
    if (from < end) {
      refuse(
        `${tensor} begins at byte ${from} of the data, within the tensor before it, which ends at ${end}`,
      );
    }
    end += bytes;
    if (end > dataBytes) {
      refuse(`${tensor} ends at byte ${end} of the data, and ${dataBytes} are there; it is cut short`);
    }
  }
  if (end < dataBytes) refuse(`it has ${dataBytes - end} bytes after its last tensor`);
  return new Map(placed);
}
