// GGUF files, version 3, of 32-bit numbers: texts and tensors as ggml's programs and Hugging Face's viewer read them. What
// a model computes is no part of the format: a program runs the architectures that it knows by name.
// Source: the specification in ggml's repository, docs/gguf.md.
import { writeAtomic } from "./files.ts";
import { bytesOfTensor, type TensorToMake, type TensorToWrite } from "./safetensors_write.ts";
import { quoted } from "./strict_json.ts";

const VERSION = 3;
/** Bytes that a tensor's place is a multiple of. */
const ALIGNMENT = 32;
/** ggml keeps a name in 64 bytes, the last of them 0. */
const LONGEST_NAME = 63;
const MOST_DIMENSIONS = 4;
const STRING = 8;
/** ggml's numbers for kinds of numbers. */
const KINDS: Readonly<Record<string, number>> = { F32: 0, F16: 1, I32: 26, BF16: 30 };

/**
 * Writes a GGUF file, a tensor at a time; it appears under its name once all of it is on the disk.
 * @param texts Keys in ggml's manner, like `general.architecture`, which has to be there, with their values.
 * @returns Where each tensor's numbers begin in the file, in bytes.
 * @throws {RangeError} for a kind of numbers other than F32, F16, BF16 and I32, more than four dimensions, a name of more than
 * 63 bytes, or texts without an architecture, before anything is written.
 * @throws {Error} when the file cannot be written or a tensor not made, saying why.
 * @example
 * ```ts
 * import { writeGguf } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * const gate = { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const;
 * await writeGguf(`${folder}/model.gguf`, { gate }, { "general.architecture": "mine" });
 * const bytes = await Deno.readFile(`${folder}/model.gguf`);
 * assertEquals([new TextDecoder().decode(bytes.subarray(0, 4)), bytes[4]], ["GGUF", 3]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeGguf(
  path: string | URL,
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
  texts: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, number>>> {
  if (!texts["general.architecture"]) {
    throw new RangeError('Cannot write GGUF: its texts have no "general.architecture"');
  }
  const head = headOf(tensors, texts);
  await writeAtomic(path, pieces(head, tensors));
  let end = head.length + missing(head.length);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const from = end;
      end += bytesOfTensor(tensor);
      end += missing(end);
      return [name, from];
    }),
  );
}

async function* pieces(
  head: Uint8Array,
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
): AsyncGenerator<Uint8Array> {
  yield head;
  yield new Uint8Array(missing(head.length));
  for (const [name, tensor] of Object.entries(tensors)) {
    const { data } = tensor;
    const { buffer, byteOffset, byteLength } = typeof data === "function" ? await data() : data;
    const bytes = bytesOfTensor(tensor);
    if (byteLength !== bytes) {
      throw new RangeError(`tensor ${quoted(name)} was made with ${byteLength} bytes, not ${bytes}`);
    }
    yield new Uint8Array(buffer, byteOffset, byteLength);
    yield new Uint8Array(missing(byteLength));
  }
}

/** Bytes from a length to the next place of a tensor. */
function missing(length: number): number {
  return (ALIGNMENT - length % ALIGNMENT) % ALIGNMENT;
}

/** All before the tensors' numbers. */
function headOf(
  tensors: Readonly<Record<string, TensorToWrite | TensorToMake>>,
  texts: Readonly<Record<string, string>>,
): Uint8Array {
  const parts: Uint8Array[] = [new TextEncoder().encode("GGUF")];
  const u32 = (value: number) => void parts.push(new Uint8Array(Uint32Array.of(value).buffer));
  const u64 = (value: number) => void parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  u32(VERSION);
  u64(Object.keys(tensors).length);
  u64(Object.keys(texts).length);
  for (const [key, value] of Object.entries(texts)) {
    text(key);
    u32(STRING);
    text(value);
  }
  let offset = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const { shape, kind } = checked(name, tensor);
    text(name);
    u32(shape.length);
    // The dimension that varies fastest comes first.
    for (const size of shape.toReversed()) u64(size);
    u32(kind);
    u64(offset);
    const bytes = bytesOfTensor(tensor);
    offset += bytes + missing(bytes);
  }
  const head = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    head.set(part, at);
    at += part.length;
  }
  return head;
}

function checked(
  name: string,
  { dtype, shape }: TensorToWrite | TensorToMake,
): { readonly shape: readonly number[]; readonly kind: number } {
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot write GGUF: tensor ${quoted(name)} ${why}`);
  };
  if (new TextEncoder().encode(name).length > LONGEST_NAME) {
    refuse(`has a name of more than ${LONGEST_NAME} bytes`);
  }
  if (shape.length > MOST_DIMENSIONS) {
    refuse(`has ${shape.length} dimensions; the format has up to ${MOST_DIMENSIONS}`);
  }
  const kind = KINDS[dtype] ?? refuse(`is of ${dtype}; choose ${Object.keys(KINDS).join(", ")}`);
  return { shape: shape.length === 0 ? [1] : shape, kind };
}
