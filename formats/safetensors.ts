// Tensors of a safetensors file: its header is read and checked at once, numbers when they are asked for, by range.
import type { ByteSource } from "./byte_source.ts";
import { bitsOf, floatsOf } from "./number_formats.ts";
import { openSource, type Place } from "./open_source.ts";
import {
  type Header,
  headerLength,
  LENGTH_BYTES,
  parseHeader,
  type TensorInfo,
} from "./safetensors_header.ts";

/** Part of a tensor's elements, in the order they are stored in: the last dimension varies fastest. */
export interface ElementRange {
  /** The first element. */
  readonly from: number;
  /** The element after the last. */
  readonly to: number;
}

/** An opened file, or several that an index makes one of. */
export interface Safetensors {
  /** What errors call it. */
  readonly name: string;
  /** Tensors by name, in the order of their numbers; of several files, as the index lists them. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Texts by name. Of several files, those that all of them have alike. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * A tensor's bytes as they are stored, little-endian, in memory of their own.
   * @throws {RangeError} when there is no such tensor or part of it, or no memory for it.
   * @throws {Error} when the file cannot be read or has changed.
   */
  bytes(tensor: string, part?: ElementRange): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * A tensor's values as 32-bit floats; F64 is rounded, all others come out as they are.
   * @throws {RangeError} as bytes() does, and for values that no 32-bit float holds: whole numbers past 24 bits, F64 past
   * 3.4e38, and F4, F6 and C64 altogether.
   */
  floats(tensor: string, part?: ElementRange): Promise<Float32Array<ArrayBuffer>>;
}

/**
 * Opens a safetensors file and checks its header as strictly as the format's reference reader: every tensor has a known kind
 * of number and a size that fits its shape, and all together cover the file without gap or overlap.
 * @param place A path, an address (its server has to answer range requests), a Blob, bytes, or a source of your own.
 * @param name What errors call it; its path, address or kind by default.
 * @throws {RangeError} when the file is cut short, damaged or not of this format, naming the tensor and the value.
 * @throws {Error} when it cannot be read, saying why.
 * @example
 * ```ts
 * import { encodeSafetensors, readSafetensors } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const scale = { dtype: "BF16", shape: [2, 1], data: Uint16Array.of(0x3F80, 0xC000) } as const;
 * const file = await readSafetensors(encodeSafetensors({ scale }, { note: "mine" }));
 * assertEquals(file.tensors.get("scale")?.shape, [2, 1]);
 * assertEquals(await file.floats("scale"), Float32Array.of(1, -2));
 * assertEquals(await file.bytes("scale", { from: 1, to: 2 }), Uint8Array.of(0x00, 0xC0));
 * assertEquals(file.metadata, { note: "mine" });
 * ```
 */
export async function readSafetensors(place: Place, name?: string): Promise<Safetensors> {
  const source = await openSource(place, name);
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot read ${source.name}: ${why}`);
  };
  const start = new Uint8Array(Math.min(LENGTH_BYTES, source.bytes));
  await source.read(0, start);
  const text = new Uint8Array(headerLength(start, source.bytes, refuse));
  await source.read(LENGTH_BYTES, text);
  const dataStart = LENGTH_BYTES + text.length;
  return readerOf(source, parseHeader(text, source.bytes - dataStart, refuse), dataStart);
}

function readerOf(source: ByteSource, { tensors, metadata }: Header, dataStart: number): Safetensors {
  const refuse = (tensor: string, why: string): never => {
    throw new RangeError(`Cannot read tensor "${tensor}" of ${source.name}: ${why}`);
  };
  const file: Safetensors = {
    name: source.name,
    tensors,
    metadata,
    async bytes(tensor, part) {
      const found = tensors.get(tensor) ?? refuse(tensor, "it has no tensor of that name");
      const [from, to] = bytesOf(found, part, (why) => refuse(tensor, why));
      const into = room(to - from) ?? refuse(tensor, `there is no memory for its ${to - from} bytes`);
      await source.read(dataStart + found.from + from, into);
      return into;
    },
    async floats(tensor, part) {
      const { buffer } = await file.bytes(tensor, part);
      return floatsOf(tensors.get(tensor)!.dtype, buffer, (why) => refuse(tensor, why));
    },
  };
  return file;
}

/** First byte and the one after the last of a part of a tensor. */
function bytesOf(
  { dtype, bytes }: TensorInfo,
  part: ElementRange | undefined,
  refuse: (why: string) => never,
): [from: number, to: number] {
  if (!part) return [0, bytes];
  const { from, to } = part;
  const bits = bitsOf(dtype);
  const elements = bytes * 8 / bits;
  if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= elements)) {
    refuse(`it has ${elements} elements, not a part from ${from} to ${to}`);
  }
  const bounds = [from * bits / 8, to * bits / 8] as const;
  if (!bounds.every(Number.isInteger)) refuse(`elements ${from} to ${to} of ${dtype} are no whole bytes`);
  return [...bounds];
}

function room(bytes: number): Uint8Array<ArrayBuffer> | null {
  try {
    return new Uint8Array(bytes);
  } catch {
    return null;
  }
}
