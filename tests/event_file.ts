// TensorBoard's event files, read by a reader of their own: frames, checksums bit by bit, and protobuf by its wire types.
// It shares nothing with the writer.
import { assert, assertEquals } from "@std/assert";

/** An event as it was found. */
export interface FoundEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly version: string | null;
  readonly scalars: Readonly<Record<string, number>>;
}

/** Bits of a number, the first one to the right, turned round. */
function reversed(value: number, bits: number): number {
  let turned = 0;
  for (let bit = 0; bit < bits; bit++) if (value & (1 << bit)) turned |= 1 << (bits - 1 - bit);
  return turned >>> 0;
}

/** CRC-32C as RFC 3720 defines it: long division by 0x1EDC6F41, with bytes and result turned round. */
export function crcByDivision(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) {
    remainder ^= reversed(byte, 8) << 24;
    for (let bit = 0; bit < 8; bit++) {
      remainder = remainder < 0 ? (remainder << 1) ^ 0x1edc6f41 : remainder << 1;
    }
  }
  return reversed(~remainder >>> 0, 32);
}

function masked(bytes: Uint8Array): number {
  const crc = BigInt(crcByDivision(bytes));
  return Number((((crc >> 15n) | (crc << 17n) & 0xffffffffn) + 0xa282ead8n) & 0xffffffffn);
}

type Field = readonly [number: number, value: bigint | number | Uint8Array];

function fields(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Field[] = [];
  let at = 0;
  const varint = () => {
    for (let value = 0n, shift = 0n;; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const number = key >> 3;
    switch (key & 7) {
      case 0:
        found.push([number, varint()]);
        break;
      case 1:
        found.push([number, view.getFloat64(at, true)]);
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        found.push([number, bytes.subarray(at, at + length)]);
        at += length;
        break;
      }
      case 5:
        found.push([number, view.getFloat32(at, true)]);
        at += 4;
        break;
      default:
        throw new Error(`wire type ${key & 7}`);
    }
  }
  assertEquals(at, bytes.length, "a field that ends behind its message");
  return found;
}

const textOf = (value: unknown) => new TextDecoder("utf-8", { fatal: true }).decode(value as Uint8Array);

/** One of each: all values of a field, by its number. */
function byNumber(bytes: Uint8Array): Map<number, unknown[]> {
  const found = new Map<number, unknown[]>();
  for (const [number, value] of fields(bytes)) found.set(number, [...found.get(number) ?? [], value]);
  return found;
}

function eventOf(bytes: Uint8Array): FoundEvent {
  const event = byNumber(bytes);
  assert([...event.keys()].every((number) => [1, 2, 3, 5].includes(number)), "a field that we do not write");
  const summary = byNumber(event.get(5)?.[0] as Uint8Array ?? new Uint8Array(0));
  const scalars = (summary.get(1) ?? []).map((value) => {
    const { 1: tag, 2: simple } = Object.fromEntries(byNumber(value as Uint8Array));
    return [textOf(tag[0]), simple[0] as number] as const;
  });
  return {
    wallTime: event.get(1)![0] as number,
    step: Number(event.get(2)?.[0] ?? 0n),
    version: event.has(3) ? textOf(event.get(3)![0]) : null,
    scalars: Object.fromEntries(scalars),
  };
}

/** All events of a file; every checksum must fit and nothing may be left over. */
export function readEvents(bytes: Uint8Array): FoundEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: FoundEvent[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(view.getBigUint64(at, true));
    assertEquals(view.getUint32(at + 8, true), masked(bytes.subarray(at, at + 8)), "checksum of a length");
    const data = bytes.subarray(at + 12, at + 12 + length);
    assertEquals(view.getUint32(at + 12 + length, true), masked(data), "checksum of data");
    events.push(eventOf(data));
    at += 16 + length;
  }
  return events;
}
