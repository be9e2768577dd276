// Lines that a run writes as it goes. A save writes what is new behind what is there, so that it costs the same after any
// number of steps; what a killed program left behind the last save is written over.
import { appendAt, readBytes } from "../formats/files.ts";
import { runningDigest } from "../tasks/digest.ts";

/** How far a log was written when a checkpoint was. */
export interface LogMark {
  readonly lines: number;
  readonly bytes: number;
  /** SHA-256 of those bytes, in hexadecimal. */
  readonly digest: string;
}

/** A file of lines that grows. */
export interface RowLog {
  readonly path: string;
  readonly mark: LogMark;
  /** Writes those of all lines so far that are not in the file yet. */
  append(all: readonly unknown[], textOf: (line: unknown) => string): Promise<void>;
  /** The text up to a mark, behind which what is appended later goes; null when it is not what was written there. */
  backTo(mark: LogMark): Promise<string | null>;
}

/** The log at `path`, empty until {@linkcode RowLog.backTo}; nothing is read or written yet. */
export function rowLog(path: string): RowLog {
  let digest = runningDigest();
  let mark: LogMark = { lines: 0, bytes: 0, digest: digest.soFar() };
  return {
    path,
    get mark() {
      return mark;
    },
    async append(all, textOf) {
      let text = "";
      for (let at = mark.lines; at < all.length; at++) text += textOf(all[at]);
      const bytes = new TextEncoder().encode(text);
      await appendAt(path, mark.bytes, bytes);
      digest.piece(bytes);
      mark = { lines: all.length, bytes: mark.bytes + bytes.length, digest: digest.soFar() };
    },
    async backTo(wanted) {
      const bytes = (await readBytes(path)).subarray(0, wanted.bytes);
      const found = runningDigest();
      found.piece(bytes);
      if (found.soFar() !== wanted.digest) return null;
      digest = found;
      mark = wanted;
      return new TextDecoder().decode(bytes);
    },
  };
}
