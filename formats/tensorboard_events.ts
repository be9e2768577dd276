// TensorBoard's event files: records framed as in TFRecord files, each holding one Event of protobuf. Scalars are all we
// write, so the few fields of event.proto and summary.proto that they need stand here in place of a protobuf library.
import { maskedCrc32c } from "./crc32c.ts";

/** Scalars of one step. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  /** Whole and not negative. */
  readonly step: number;
  /** Values by tag, kept as f32; TensorBoard groups tags by what stands before their first "/". */
  readonly scalars: Readonly<Record<string, number>>;
}

/** How a field's value is written: its wire type. */
const wire = { varint: 0, double: 1, bytes: 2, float: 5 } as const;
/** Bytes of a record around its data: length, its checksum, and the data's. */
const [HEAD, TAIL] = [12, 4];

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return [...bytes, value];
}

function field(number: number, type: keyof typeof wire, value: Iterable<number>): number[] {
  const bytes = [...value];
  return [...varint(8 * number + wire[type]), ...type === "bytes" ? varint(bytes.length) : [], ...bytes];
}

const text = (value: string) => new TextEncoder().encode(value);
const float = (value: number) => littleEndian(4, (view) => view.setFloat32(0, value, true));
const double = (value: number) => littleEndian(8, (view) => view.setFloat64(0, value, true));

function littleEndian(length: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return bytes;
}

function record(data: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(HEAD + data.length + TAIL);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(bytes.subarray(0, 8)), true);
  bytes.set(data, HEAD);
  view.setUint32(HEAD + data.length, maskedCrc32c(bytes.subarray(HEAD, HEAD + data.length)), true);
  return bytes;
}

/** The record that an event file begins with. */
export function versionRecord(wallTime: number): Uint8Array {
  return record([...field(1, "double", double(wallTime)), ...field(3, "bytes", text("brain.Event:2"))]);
}

/** A record of scalars. */
export function scalarRecord({ wallTime, step, scalars }: ScalarEvent): Uint8Array {
  const values = Object.entries(scalars).flatMap(([tag, value]) =>
    field(1, "bytes", [...field(1, "bytes", text(tag)), ...field(2, "float", float(value))])
  );
  return record([
    ...field(1, "double", double(wallTime)),
    ...field(2, "varint", varint(step)),
    ...field(5, "bytes", values),
  ]);
}

/** Where each whole record ends, up to the first that is cut short or does not fit its checksums. */
export function recordEnds(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ends: number[] = [];
  for (let at = 0; at + HEAD + TAIL <= bytes.length; at = ends[ends.length - 1]) {
    const end = at + HEAD + Number(view.getBigUint64(at, true));
    if (view.getUint32(at + 8, true) !== maskedCrc32c(bytes.subarray(at, at + 8))) break;
    if (end + TAIL > bytes.length) break;
    if (view.getUint32(end, true) !== maskedCrc32c(bytes.subarray(at + HEAD, end))) break;
    ends.push(end + TAIL);
  }
  return ends;
}
