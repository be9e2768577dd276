// A tensor of an ONNX file: its numbers lie in raw bytes, in a list of one of six kinds, or in another file.
import { bitsOf, floatsOf } from "./number_formats.ts";
import { type ExternalData, isExternal, type OnnxDtype, onnxDtypes, type OnnxTensor } from "./onnx_model.ts";
import { contentOf, type Field, fieldsOf, safe, textOf, wholeOf, wholesOf } from "./protobuf.ts";
import { quoted, type Refuse } from "./strict_json.ts";

/** What a tensor's fields said. */
interface Found {
  name: string;
  code: number;
  shape: number[];
  raw: Uint8Array | null;
  /** Lists of numbers, by the field they are in. */
  listed: { readonly field: number; readonly bytes: Uint8Array }[];
  external: Record<string, string>;
  isExternal: boolean;
}

/** Reads a tensor's message. */
export function readTensor(bytes: Uint8Array, refuse: Refuse): OnnxTensor {
  const found: Found = {
    name: "",
    code: 0,
    shape: [],
    raw: null,
    listed: [],
    external: {},
    isExternal: false,
  };
  for (const field of fieldsOf(bytes, refuse)) readField(field, found, refuse);
  const { name, shape } = found;
  const of: Refuse = (why) => refuse(`tensor ${quoted(name)} ${why}`);
  const dtype = dtypeOf(found.code, of);
  const size = shape.reduce((product, one) => product * one, 1);
  const needed = size * bitsOf(dtype) / 8;
  if (!shape.every((one) => one >= 0) || !Number.isSafeInteger(needed)) of(`has shape [${shape}]`);
  if (found.listed.length > 0 && (found.raw || found.isExternal)) of("has its numbers twice");
  const data = found.isExternal
    ? externalOf(found.external, of)
    : found.raw ?? together(found.listed, dtype, of);
  const there = isExternal(data) ? data.bytes : data.length;
  if (there !== needed) of(`has ${there} bytes, and its shape [${shape}] of ${dtype} takes ${needed}`);
  return { name, dtype, shape, data };
}

/** The kind of numbers that ONNX gives a number to. */
export function dtypeOf(code: number, refuse: Refuse): OnnxDtype {
  const kinds = Object.keys(onnxDtypes) as OnnxDtype[];
  return kinds.find((name) => onnxDtypes[name] === code) ??
    refuse(`has numbers of kind ${code}; this reader takes ${kinds.join(", ")}`);
}

function readField(field: Field, found: Found, refuse: Refuse): void {
  switch (field.number) {
    case 1:
      for (const size of wholesOf(field, refuse)) found.shape.push(safe(size, refuse));
      break;
    case 2:
      found.code = wholeOf(field, refuse);
      break;
    case 6:
      refuse(`tensor ${quoted(found.name)} holds texts`);
      break;
    case 8:
      found.name = textOf(field, refuse);
      break;
    case 9:
      found.raw = contentOf(field, refuse);
      break;
    case 4:
    case 10:
      found.listed.push({ field: field.number, bytes: field.bytes });
      break;
    case 5:
    case 7:
    case 11:
      found.listed.push({ field: field.number, bytes: bytesOf(wholesOf(field, refuse)) });
      break;
    case 13: {
      const [key, value] = entryOf(contentOf(field, refuse), refuse);
      found.external[key] = value;
      break;
    }
    case 14:
      found.isExternal = wholeOf(field, refuse) === 1;
      break;
  }
}

function bytesOf(values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values).buffer);
}

/** The field that numbers of a kind are listed in. */
function listOf(dtype: OnnxDtype): number {
  switch (dtype) {
    case "F32":
      return 4;
    case "F64":
      return 10;
    case "I64":
      return 7;
    case "U32":
    case "U64":
      return 11;
    default:
      return 5;
  }
}

/** Numbers of lists as a tensor stores them. Halves are listed as the whole number that their bits are. */
function together(parts: Found["listed"], dtype: OnnxDtype, refuse: Refuse): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let at = 0;
  for (const { field, bytes } of parts) {
    if (field !== listOf(dtype)) refuse(`of ${dtype} lists its numbers in field ${field}`);
    all.set(bytes, at);
    at += bytes.length;
  }
  const bits = bitsOf(dtype);
  if (dtype === "F32" || bits === 64) return all;
  const width = bits / 8;
  const narrow = new Uint8Array(all.length / 8 * width);
  new BigInt64Array(all.buffer).forEach((value, n) => {
    if (BigInt.asIntN(bits, value) !== value && BigInt.asUintN(bits, value) !== value) {
      refuse(`of ${dtype} lists ${value}, which does not fit`);
    }
    narrow.set(all.subarray(8 * n, 8 * n + width), n * width);
  });
  return narrow;
}

function entryOf(bytes: Uint8Array, refuse: Refuse): [string, string] {
  const entry: [string, string] = ["", ""];
  for (const part of fieldsOf(bytes, refuse)) {
    if (part.number === 1 || part.number === 2) entry[part.number - 1] = textOf(part, refuse);
  }
  return entry;
}

function externalOf(entries: Readonly<Record<string, string>>, refuse: Refuse): ExternalData {
  const wholeNumber = (key: string) => {
    const text = entries[key] ??
      (key === "offset" ? "0" : refuse(`lies in another file, which needs its ${key}`));
    return /^\d{1,15}$/.test(text) ? Number(text) : refuse(`has the ${key} ${quoted(text)}`);
  };
  const location = entries.location ?? refuse("lies in another file and does not say in which");
  return { location, offset: wholeNumber("offset"), bytes: wholeNumber("length") };
}

/** Refuses places outside a model's folder. */
export function checkLocation(location: string, refuse: Refuse): void {
  if (!/^[/\\]|^\w:|(^|[/\\])\.\.([/\\]|$)/.test(location)) return;
  refuse(`it is said to lie in ${quoted(location)}, outside the model's folder`);
}

/**
 * A tensor's values as 32-bit floats; F64 is rounded, all others come out as they are.
 * @throws {RangeError} for values that no 32-bit float holds, and where they lie in another file (`readOnnx` finds it).
 * @example
 * ```ts
 * import { onnxFloats } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const data = Uint8Array.of(0x80, 0x3F, 0x00, 0xC0);
 * assertEquals(await onnxFloats({ name: "w", dtype: "BF16", shape: [2], data }), Float32Array.of(1, -2));
 * ```
 */
export async function onnxFloats({ name, dtype, data }: OnnxTensor): Promise<Float32Array<ArrayBuffer>> {
  const refuse: Refuse = (why) => {
    throw new RangeError(`Cannot read tensor ${quoted(name)}: ${why}`);
  };
  if (isExternal(data)) return refuse(`it lies in ${quoted(data.location)}; read the model with readOnnx()`);
  const bytes = data instanceof Uint8Array ? data : await data.make();
  return floatsOf(dtype, bytes.slice().buffer, refuse);
}
