// Safetensors files as the reference writes them: wide kinds of numbers first, then by name, so that every tensor is aligned
// and equal tensors give equal bytes. A file is written a tensor at a time, and appears once it is whole.
import { writeAtomic } from "./files.ts";
import { bitsOf, dtypes, type SafetensorsDtype } from "./number_formats.ts";
import { HEADER_LIMIT, LENGTH_BYTES, METADATA, parseHeader } from "./safetensors_header.ts";
import { quoted } from "./strict_json.ts";

/** A tensor to be written. */
export interface TensorToWrite {
  /** Kind of its numbers. */
  readonly dtype: SafetensorsDtype;
  /** Sizes of its dimensions; none for a single number. */
  readonly shape: readonly number[];
  /** Its numbers as they are stored, little-endian: a view of their bytes and no others. */
  readonly data: ArrayBufferView;
}

/** A tensor whose numbers are made when it is their turn to be written, and let go then. */
export interface TensorToMake {
  /** Kind of its numbers. */
  readonly dtype: SafetensorsDtype;
  /** Sizes of its dimensions; none for a single number. */
  readonly shape: readonly number[];
  /** Makes its numbers, little-endian: a view of their bytes and no others. */
  readonly data: () => ArrayBufferView | Promise<ArrayBufferView>;
}

/** A tensor in its place. */
interface Entry {
  readonly name: string;
  readonly bytes: number;
  readonly data: TensorToWrite["data"] | TensorToMake["data"];
}

/**
 * A safetensors file in memory.
 * @param metadata Texts by name.
 * @throws {RangeError} when a shape does not fit its bytes, or a name or text is none that the format holds.
 * @example
 * ```ts
 * import { encodeSafetensors } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const bytes = encodeSafetensors({ a: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * const header = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
 * assertEquals(new TextDecoder().decode(bytes.subarray(8, 8 + header.length)), header);
 * ```
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, TensorToWrite>>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const { head, entries } = arrange(tensors, metadata);
  const file = new Uint8Array(entries.reduce((sum, { bytes }) => sum + bytes, head.length));
  file.set(head);
  let at = head.length;
  for (const { data, bytes } of entries) {
    file.set(bytesOf(data as TensorToWrite["data"]), at);
    at += bytes;
  }
  return file;
}

/**
 * Writes a safetensors file. It appears under its name once all of it is on the disk; a failure leaves what was there before.
 * Beside the tensors that are given it takes no memory, and tensors to make are made one after another.
 * @param metadata Texts by name.
 * @throws {RangeError} as encodeSafetensors() does, before anything is written.
 * @throws {Error} when the file cannot be written or a tensor not made, saying why.
 * @example
 * ```ts
 * import { readSafetensors, writeSafetensors } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * await writeSafetensors(`${folder}/model.safetensors`, {
 *   gate: { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
 *   ids: { dtype: "I64", shape: [1], data: () => BigInt64Array.of(7n) },
 * });
 * const file = await readSafetensors(`${folder}/model.safetensors`);
 * assertEquals([...file.tensors.keys()], ["ids", "gate"]);
 * assertEquals(await file.floats("gate", { from: 2, to: 4 }), Float32Array.of(3, 4));
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeSafetensors(
  path: string | URL,
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const { head, entries } = arrange(tensors, metadata);
  await writeAtomic(path, pieces(head, entries));
}

async function* pieces(head: Uint8Array, entries: readonly Entry[]): AsyncGenerator<Uint8Array> {
  yield head;
  for (const { name, bytes, data } of entries) {
    const made = bytesOf(typeof data === "function" ? await data() : data);
    if (made.length !== bytes) {
      throw new RangeError(
        `tensor ${quoted(name)} was made with ${made.length} bytes, and its shape takes ${bytes}`,
      );
    }
    yield made;
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Puts tensors in order and makes the header, which has to pass for one that is read. */
function arrange(
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
  metadata?: Readonly<Record<string, string>>,
): { readonly head: Uint8Array<ArrayBuffer>; readonly entries: readonly Entry[] } {
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot save tensors: ${why}`);
  };
  if (Object.hasOwn(tensors, METADATA)) refuse(`the format keeps the name "${METADATA}" for texts`);
  const rank = (name: string) => dtypes.indexOf(tensors[name].dtype);
  const names = Object.keys(tensors).sort((a, b) => rank(b) - rank(a) || byCodePoint(a, b));
  const texts = Object.keys(metadata ?? {}).sort(byCodePoint).map((name) => member(name, metadata![name]));
  const members = metadata ? [`"${METADATA}":{${texts.join()}}`] : [];
  const entries: Entry[] = [];
  let end = 0;
  for (const name of names) {
    const { dtype, shape, data } = tensors[name];
    const bytes = bytesOfTensor(tensors[name]);
    members.push(member(name, { dtype, shape, data_offsets: [end, end += bytes] }));
    entries.push({ name, bytes, data });
  }
  const text = new TextEncoder().encode(`{${members.join()}}`);
  parseHeader(text, end, refuse);
  const length = Math.ceil(text.length / LENGTH_BYTES) * LENGTH_BYTES;
  if (length > HEADER_LIMIT) refuse(`their header has ${length} bytes; the format allows ${HEADER_LIMIT}`);
  const head = new Uint8Array(LENGTH_BYTES + length).fill(0x20, LENGTH_BYTES + text.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(text, LENGTH_BYTES);
  return { head, entries };
}

function member(name: string, value: unknown): string {
  return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
}

/** Bytes that a tensor takes in a file. */
export function bytesOfTensor({ dtype, shape, data }: TensorToWrite | TensorToMake): number {
  if (typeof data !== "function") return data.byteLength;
  return shape.reduce((product, size) => product * size, 1) * bitsOf(dtype) / 8;
}

/** The order of names' UTF-8 bytes, which is that of code points. */
function byCodePoint(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return (a.codePointAt(at) ?? -1) - (b.codePointAt(at) ?? -1);
}
