// A GGUF file read as its specification says, for tests of what is written.

/** Texts, and tensors with ggml's number of their kind, the dimension that varies fastest last. */
export interface Gguf {
  readonly texts: Readonly<Record<string, string>>;
  readonly tensors: Readonly<
    Record<
      string,
      { readonly kind: number; readonly shape: readonly number[]; readonly values: ArrayBufferView }
    >
  >;
}

export function decodeGguf(file: Uint8Array<ArrayBuffer>): Gguf {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 0;
  const u32 = () => view.getUint32((at += 4) - 4, true);
  const u64 = () => Number(view.getBigUint64((at += 8) - 8, true));
  const text = () => {
    const length = u64();
    return new TextDecoder().decode(file.subarray(at, at += length));
  };
  if (u32() !== 0x46554747 || u32() !== 3) throw new Error("Cannot read GGUF: it is no file of version 3");
  const [count, keys] = [u64(), u64()];
  const texts: Record<string, string> = {};
  for (let key = 0; key < keys; key++) {
    const name = text();
    if (u32() !== 8) throw new Error(`Cannot read GGUF: "${name}" is no text`);
    texts[name] = text();
  }
  const infos = Array.from({ length: count }, () => {
    const name = text();
    const shape = Array.from({ length: u32() }, u64).toReversed();
    return { name, shape, kind: u32(), offset: u64() };
  });
  const start = Math.ceil(at / 32) * 32;
  const tensors = infos.map(({ name, shape, kind, offset }) => {
    if (offset % 32 !== 0) throw new Error(`Cannot read GGUF: "${name}" is at ${offset}`);
    const bytes = file.slice(start + offset, start + offset + 4 * shape.reduce((a, b) => a * b, 1));
    return [name, { kind, shape, values: kind === 0 ? new Float32Array(bytes.buffer) : bytes }] as const;
  });
  return { texts, tensors: Object.fromEntries(tensors) };
}
