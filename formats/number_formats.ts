// Kinds of numbers that safetensors files hold: how many bits each takes, and its values as 32-bit floats. Formats of 8 bits
// follow OCP 8-bit Floating Point 1.0, OCP Microscaling 1.0 (E8M0) and arXiv:2206.02915 (FNUZ).
import type { Refuse } from "./strict_json.ts";

/** 32-bit floats of little-endian bytes that begin at a buffer's start. */
type Floats = (bytes: ArrayBuffer, refuse: Refuse) => Float32Array<ArrayBuffer>;

interface NumberFormat {
  readonly bits: number;
  /** Null where values have no 32-bit float, or the format leaves open how they are packed. */
  readonly floats: Floats | null;
}

/** A kind of number by the name that safetensors files give it. */
export type SafetensorsDtype =
  | "BOOL"
  | "F4"
  | "F6_E2M3"
  | "F6_E3M2"
  | "U8"
  | "I8"
  | "F8_E5M2"
  | "F8_E4M3"
  | "F8_E8M0"
  | "F8_E4M3FNUZ"
  | "F8_E5M2FNUZ"
  | "I16"
  | "U16"
  | "F16"
  | "BF16"
  | "I32"
  | "U32"
  | "F32"
  | "C64"
  | "F64"
  | "I64"
  | "U64";

/**
 * Kinds of numbers, narrow ones first: files begin with the last kind here, so that every tensor is aligned to its numbers.
 * Order and names are those of the reference.
 */
const formats: Readonly<Record<SafetensorsDtype, NumberFormat>> = {
  BOOL: { bits: 8, floats: byCode((code) => Math.min(code, 1)) },
  F4: { bits: 4, floats: null },
  F6_E2M3: { bits: 6, floats: null },
  F6_E3M2: { bits: 6, floats: null },
  U8: { bits: 8, floats: byCode((code) => code) },
  I8: { bits: 8, floats: byCode((code) => code << 24 >> 24) },
  F8_E5M2: { bits: 8, floats: byCode(e5m2) },
  F8_E4M3: { bits: 8, floats: byCode((code) => (code & 127) === 127 ? NaN : floatOf(code, 3, 7)) },
  F8_E8M0: { bits: 8, floats: byCode((code) => code === 255 ? NaN : 2 ** (code - 127)) },
  F8_E4M3FNUZ: { bits: 8, floats: byCode((code) => code === 128 ? NaN : floatOf(code, 3, 8)) },
  F8_E5M2FNUZ: { bits: 8, floats: byCode((code) => code === 128 ? NaN : floatOf(code, 2, 16)) },
  I16: { bits: 16, floats: (bytes) => new Float32Array(new Int16Array(bytes)) },
  U16: { bits: 16, floats: (bytes) => new Float32Array(new Uint16Array(bytes)) },
  F16: { bits: 16, floats: (bytes) => new Float32Array(new Float16Array(bytes)) },
  BF16: { bits: 16, floats: upperHalves },
  I32: { bits: 32, floats: (bytes, refuse) => exactly(new Int32Array(bytes), refuse) },
  U32: { bits: 32, floats: (bytes, refuse) => exactly(new Uint32Array(bytes), refuse) },
  F32: { bits: 32, floats: (bytes) => new Float32Array(bytes) },
  C64: { bits: 64, floats: null },
  F64: { bits: 64, floats: rounded },
  I64: { bits: 64, floats: (bytes, refuse) => exactly(new BigInt64Array(bytes), refuse) },
  U64: { bits: 64, floats: (bytes, refuse) => exactly(new BigUint64Array(bytes), refuse) },
};

/** Every kind of number, narrow ones first. */
export const dtypes: readonly SafetensorsDtype[] = Object.keys(formats) as SafetensorsDtype[];

/** True for the name of a kind of number. */
export function isDtype(name: unknown): name is SafetensorsDtype {
  return typeof name === "string" && Object.hasOwn(formats, name);
}

/** Bits of one number. */
export function bitsOf(dtype: SafetensorsDtype): number {
  return formats[dtype].bits;
}

/**
 * Numbers as 32-bit floats. F64 is rounded; all others come out as they are.
 * @param bytes Little-endian. F32 is not copied.
 * @param refuse Called for values that 32-bit floats do not hold: whole numbers past 24 bits, F64 past 3.4e38, F4, F6 and C64.
 */
export function floatsOf(
  dtype: SafetensorsDtype,
  bytes: ArrayBuffer,
  refuse: Refuse,
): Float32Array<ArrayBuffer> {
  const { floats } = formats[dtype];
  return floats ? floats(bytes, refuse) : refuse(`${dtype} has no values as 32-bit floats; read its bytes`);
}

/** Formats of 8 bits, by a table of their 256 codes. */
function byCode(value: (code: number) => number): Floats {
  return (bytes) => {
    const table = Float32Array.from({ length: 256 }, (_, code) => value(code));
    const codes = new Uint8Array(bytes);
    const floats = new Float32Array(codes.length);
    for (let at = 0; at < codes.length; at++) floats[at] = table[codes[at]];
    return floats;
  };
}

/** A code of 8 bits as sign, exponent and mantissa; exponent 0 is for numbers below the least normal one. */
function floatOf(code: number, mantissaBits: number, bias: number): number {
  const exponent = (code & 127) >> mantissaBits;
  const mantissa = (code & (1 << mantissaBits) - 1) / (1 << mantissaBits);
  const size = exponent === 0 ? mantissa * 2 ** (1 - bias) : (1 + mantissa) * 2 ** (exponent - bias);
  return code & 128 ? -size : size;
}

function e5m2(code: number): number {
  const special = (code & 127) - 124;
  if (special < 0) return floatOf(code, 2, 15);
  return special > 0 ? NaN : code & 128 ? -Infinity : Infinity;
}

/** A bfloat16 is the upper half of a 32-bit float. */
function upperHalves(bytes: ArrayBuffer): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(bytes);
  const words = new Uint32Array(halves.length);
  for (let at = 0; at < halves.length; at++) words[at] = halves[at] << 16;
  return new Float32Array(words.buffer);
}

function exactly(
  values: Int32Array | Uint32Array | BigInt64Array | BigUint64Array,
  refuse: Refuse,
): Float32Array<ArrayBuffer> {
  const floats = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    floats[at] = Number(value);
    const held = typeof value === "bigint" ? BigInt(floats[at]) === value : floats[at] === value;
    if (!held) refuse(`value ${at} is ${value}, which no 32-bit float is; read its bytes`);
  }
  return floats;
}

function rounded(bytes: ArrayBuffer, refuse: Refuse): Float32Array<ArrayBuffer> {
  const values = new Float64Array(bytes);
  const floats = new Float32Array(values);
  const past = floats.findIndex((float, at) => Math.abs(float) === Infinity && float !== values[at]);
  return past < 0
    ? floats
    : refuse(`value ${past} is ${values[past]}, past the largest 32-bit float; read its bytes`);
}
