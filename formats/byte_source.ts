// Bytes that are read by range wherever they are. Nothing stays open between reads, so that no reader has to be closed.

/** Bytes to be read by range. */
export interface ByteSource {
  /** What errors call it. */
  readonly name: string;
  /** How many there are. */
  readonly bytes: number;
  /**
   * Fills `into` with the bytes from `from` on.
   * @throws {Error} when they cannot be read, saying why.
   */
  read(from: number, into: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** Bytes in memory. */
export function inMemory(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    bytes: bytes.length,
    read(from, into) {
      if (from + into.length > bytes.length) return Promise.reject(endsBefore(name, from + into.length));
      into.set(bytes.subarray(from, from + into.length));
      return Promise.resolve();
    },
  };
}

/** A Blob, such as a file that a browser's user chose. */
export function inBlob(blob: Blob, name: string): ByteSource {
  return {
    name,
    bytes: blob.size,
    read: (from, into) => pour(blob.slice(from, from + into.length).stream(), into, name, from),
  };
}

/**
 * Fills `into` from a stream that gives just its bytes.
 * @param from Place of the first byte, for errors.
 */
export async function pour(
  stream: ReadableStream<Uint8Array>,
  into: Uint8Array<ArrayBuffer>,
  name: string,
  from: number,
): Promise<void> {
  let filled = 0;
  try {
    for await (const piece of stream) {
      into.set(piece.subarray(0, into.length - filled), filled);
      filled += piece.length;
      if (filled > into.length) break;
    }
  } catch (cause) {
    throw new Error(`Cannot read ${name}: ${(cause as Error).message}`, { cause });
  }
  if (filled < into.length) throw endsBefore(name, from + into.length);
  if (filled > into.length) {
    throw new Error(`Cannot read ${name}: more bytes came than the ${into.length} asked for`);
  }
}

function endsBefore(name: string, byte: number): Error {
  return new Error(`Cannot read ${name}: it ends before byte ${byte}`);
}
