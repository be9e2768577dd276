// A large file read in pieces or by range, and refused once it has changed since it was first looked at.
import { reasonOf } from "./files.ts";

const PIECE_BYTES = 256 * 2 ** 10;

/** A file as it was when it was looked at; reading it later refuses one that has changed. */
export interface FileOnDisk {
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds since 1970; null where the system does not say. */
  readonly modified: number | null;
}

function seenAs(path: string, { size, mtime }: Deno.FileInfo): FileOnDisk {
  return { path, bytes: size, modified: mtime?.getTime() ?? null };
}

function refuseChanged({ bytes, modified }: FileOnDisk, now: FileOnDisk): void {
  if (now.bytes === bytes && now.modified === modified) return;
  throw new Error("it has changed since it was first looked at; start again");
}

/**
 * A file's size and time.
 * @throws {Error} when there is none, saying why.
 */
export async function lookAt(path: string): Promise<FileOnDisk> {
  try {
    return seenAs(path, await Deno.stat(path));
  } catch (cause) {
    throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * A file from its first byte to its last, a piece at a time; the next piece is written over the one before.
 * @throws {Error} when the file cannot be read or has changed, saying why.
 */
export async function* piecesOf(seen: FileOnDisk): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(PIECE_BYTES);
  try {
    using file = await Deno.open(seen.path);
    for (let left = seen.bytes; left > 0;) {
      const count = await file.read(chunk.subarray(0, Math.min(left, chunk.length)));
      if (count === null) break;
      left -= count;
      yield chunk.subarray(0, count);
    }
    refuseChanged(seen, seenAs(seen.path, await file.stat()));
  } catch (cause) {
    throw new Error(`Cannot read ${seen.path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Fills `into` with a file's bytes from `from` on, at once. The file is opened and closed again, so that no reader has to
 * be closed.
 * @throws {Error} when the file cannot be read, has changed or ends before, saying why.
 */
export function readRange(seen: FileOnDisk, from: number, into: Uint8Array): void {
  try {
    using file = Deno.openSync(seen.path);
    refuseChanged(seen, seenAs(seen.path, file.statSync()));
    file.seekSync(from, Deno.SeekMode.Start);
    for (let at = 0; at < into.length;) {
      const count = file.readSync(into.subarray(at));
      if (count === null) throw new Error(`it ends before byte ${from + into.length}`);
      at += count;
    }
  } catch (cause) {
    throw new Error(`Cannot read ${seen.path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Fills `into` with a file's bytes from `from` on, as readRange() does, while other work goes on.
 * @throws {Error} when the file cannot be read, has changed or ends before, saying why.
 */
export async function fillFrom(seen: FileOnDisk, from: number, into: Uint8Array): Promise<void> {
  try {
    using file = await Deno.open(seen.path);
    refuseChanged(seen, seenAs(seen.path, await file.stat()));
    await file.seek(from, Deno.SeekMode.Start);
    for (let at = 0; at < into.length;) {
      const count = await file.read(into.subarray(at));
      if (count === null) throw new Error(`it ends before byte ${from + into.length}`);
      at += count;
    }
  } catch (cause) {
    throw new Error(`Cannot read ${seen.path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * A file's first line, without its end.
 * @throws {Error} when the file cannot be read, saying why.
 */
export async function firstLine(path: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of piecesOf(await lookAt(path))) {
    text += decoder.decode(piece, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  return text;
}
