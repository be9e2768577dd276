// Safetensors files byte by byte, for tests of what is read: a header as it is given, and the numbers after it.

/** A file whose header is a text or, as JSON, anything else. */
export function fileOf(header: unknown, data: number | Uint8Array, length?: bigint): Uint8Array<ArrayBuffer> {
  const text = header instanceof Uint8Array
    ? header
    : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const numbers = typeof data === "number" ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + text.length + numbers.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(numbers, 8 + text.length);
  return bytes;
}

/** A header's entry for a tensor. */
export function entry(dtype: unknown, shape: unknown, ...offsets: readonly unknown[]): unknown {
  return { dtype, shape, data_offsets: offsets };
}
