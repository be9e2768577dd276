// Protocol Buffers on the wire, in both directions: fields with a number and one of four encodings. What the numbers mean is
// the business of who reads or writes a message (protobuf.dev, "Encoding").
import type { Refuse } from "./strict_json.ts";

/** Bytes that are made when it is their turn to be written, and let go then. */
export interface BytesToMake {
  /** How many there will be. */
  readonly length: number;
  /** Gives just that many bytes. */
  make(): Uint8Array | Promise<Uint8Array>;
}

/** Part of what is written. */
export type Piece = Uint8Array | BytesToMake;

/** A message under construction. Each call adds a field, in the order they come; large bytes are not copied. */
export interface MessageWriter {
  /** A whole number of up to 64 bits; below 0 as its two's complement. */
  whole(field: number, value: number | bigint): MessageWriter;
  /** A 32-bit float. */
  float(field: number, value: number): MessageWriter;
  bytes(field: number, value: Piece): MessageWriter;
  text(field: number, value: string): MessageWriter;
  message(field: number, value: MessageWriter): MessageWriter;
  /** The message so far. */
  readonly pieces: readonly Piece[];
  /** Its bytes. */
  readonly length: number;
}

const WHOLE = 0, EIGHT_BYTES = 1, DELIMITED = 2, FOUR_BYTES = 5;

/** An empty message. */
export function messageWriter(): MessageWriter {
  const pieces: Piece[] = [];
  let length = 0;
  const push = (piece: Piece) => {
    pieces.push(piece);
    length += piece.length;
    return writer;
  };
  const head = (field: number, encoding: number, value: bigint) =>
    push(Uint8Array.of(...varint(BigInt(field * 8 + encoding)), ...varint(value)));
  const writer: MessageWriter = {
    whole: (field, value) => head(field, WHOLE, BigInt(value)),
    float(field, value) {
      push(varint(BigInt(field * 8 + FOUR_BYTES)));
      return push(new Uint8Array(Float32Array.of(value).buffer));
    },
    bytes(field, value) {
      head(field, DELIMITED, BigInt(value.length));
      return push(value);
    },
    text: (field, value) => writer.bytes(field, new TextEncoder().encode(value)),
    message(field, value) {
      head(field, DELIMITED, BigInt(value.length));
      for (const piece of value.pieces) push(piece);
      return writer;
    },
    pieces,
    get length() {
      return length;
    },
  };
  return writer;
}

/** Seven bits a byte, the lowest first. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.of(...bytes, Number(rest));
}

/** A field as it is written; what is said is one of the two. */
export interface Field {
  readonly number: number;
  /** A whole number as its 64 bits, unsigned; null for a field of bytes. */
  readonly whole: bigint | null;
  /** Bytes of a message, a text or a list; of a float 4 or 8; empty for a whole number. */
  readonly bytes: Uint8Array;
  /** True for bytes whose number is written before them. */
  readonly delimited: boolean;
}

/**
 * The fields of a message, in their order; every length is held against the bytes there are before it is used.
 * @param refuse Called when the bytes end early or are no message.
 */
export function* fieldsOf(bytes: Uint8Array, refuse: Refuse): Generator<Field> {
  const none = bytes.subarray(0, 0);
  const cursor = { at: 0 };
  const part = (size: number): Uint8Array => {
    const left = bytes.length - cursor.at;
    if (size > left) refuse(`a field of ${size} bytes begins where ${left} are left`);
    return bytes.subarray(cursor.at, cursor.at += size);
  };
  while (cursor.at < bytes.length) {
    const tag = wholeAt(bytes, cursor, refuse);
    const number = Number(tag >> 3n);
    const encoding = Number(tag & 7n);
    if (number < 1 || number >= 2 ** 29) refuse(`a field has the number ${number}`);
    switch (encoding) {
      case WHOLE:
        yield { number, whole: wholeAt(bytes, cursor, refuse), bytes: none, delimited: false };
        break;
      case EIGHT_BYTES:
        yield { number, whole: null, bytes: part(8), delimited: false };
        break;
      case FOUR_BYTES:
        yield { number, whole: null, bytes: part(4), delimited: false };
        break;
      case DELIMITED: {
        const size = Number(wholeAt(bytes, cursor, refuse));
        yield { number, whole: null, bytes: part(size), delimited: true };
        break;
      }
      default:
        refuse(`field ${number} has the encoding ${encoding}, which no message has today`);
    }
  }
}

function wholeAt(bytes: Uint8Array, cursor: { at: number }, refuse: Refuse): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (cursor.at === bytes.length) refuse("it ends inside a whole number");
    const byte = bytes[cursor.at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return BigInt.asUintN(64, value);
  }
  return refuse("a whole number goes on past ten bytes");
}

/** Whole numbers of a field that may repeat: one, or a packed list, as signed numbers of 64 bits. */
export function wholesOf({ whole, bytes, delimited }: Field, refuse: Refuse): bigint[] {
  if (whole !== null) return [BigInt.asIntN(64, whole)];
  if (!delimited) refuse("whole numbers are written as floats");
  const values: bigint[] = [];
  for (const cursor = { at: 0 }; cursor.at < bytes.length;) {
    values.push(BigInt.asIntN(64, wholeAt(bytes, cursor, refuse)));
  }
  return values;
}

/** A field's one whole number, which has to be a safe one. */
export function wholeOf(field: Field, refuse: Refuse): number {
  if (field.whole === null) refuse(`field ${field.number} is no whole number`);
  return safe(BigInt.asIntN(64, field.whole!), refuse);
}

/** A whole number as JavaScript counts. */
export function safe(value: bigint, refuse: Refuse): number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : refuse(`a whole number is ${value}, past 2^53`);
}

/** The bytes of a message, a text or a list. */
export function contentOf({ number, bytes, delimited }: Field, refuse: Refuse): Uint8Array {
  return delimited ? bytes : refuse(`field ${number} is a number where bytes were to be`);
}

/** A field's text. */
export function textOf(field: Field, refuse: Refuse): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(contentOf(field, refuse));
  } catch (error) {
    if (error instanceof RangeError) throw error;
    return refuse(`field ${field.number} is not UTF-8 text`);
  }
}
