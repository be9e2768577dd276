// Text larger than memory, as bytes: one pass counts and checks it, and training windows are read by range when they are
// asked for. Windows, what is held out and every number are those of the same text in memory (bytes.ts).
import { type FileOnDisk, piecesOf, readRange } from "../formats/file_on_disk.ts";
import { byteNames } from "./bytes.ts";
import type { TextFile } from "./corpora.ts";
import type { Dataset, Tokens } from "./dataset.ts";
import { cutsOf, datasetOf, genresOf, type NumberedText } from "./text_ends.ts";

/** A file's training part, and its place among all training tokens. */
interface TrainingPart {
  readonly file: FileOnDisk;
  /** Byte of the file that the text begins with: 3 after a byte order mark. */
  readonly from: number;
  /** Bytes of the text that are trained on. */
  readonly length: number;
  /** Tokens before it. */
  readonly before: number;
}

/** Texts on disk that have been measured and not read. */
export interface BytesOnDisk {
  readonly name: string;
  readonly genres: readonly string[];
  /** Names of tokens. */
  readonly words: readonly string[];
  readonly train: Tokens;
  /**
   * Reads everything once.
   * @param see Called with all training tokens in order, a piece at a time; the next piece is written over it.
   * @throws {Error} when a file has changed or is not UTF-8 text.
   */
  read(see: (piece: Int32Array) => void): Promise<Dataset<Tokens>>;
}

/**
 * Measures texts on disk.
 * @throws {RangeError} when there are no bytes to train on or none to hold out.
 */
export function openBytes(name: string, texts: readonly TextFile[], validationShare: number): BytesOnDisk {
  const marks = texts.map(({ file }) => markBytes(file));
  const cuts = cutsOf(name, texts.map(({ file }, at) => file.bytes - marks[at]), validationShare, "bytes");
  let before = 0;
  const parts = texts.map(({ file }, at): TrainingPart => {
    const part = { file, from: marks[at], length: cuts[at], before };
    before += cuts[at];
    return part;
  });
  const [genres, words, train] = [genresOf(texts), byteNames(), tokensOf(parts)];
  return {
    name,
    genres,
    words,
    train,
    async read(see) {
      const counts = new Float64Array(words.length);
      const held: NumberedText[] = [];
      for (const [at, part] of parts.entries()) {
        held.push({ genre: texts[at].genre, tokens: await readText(part, counts, see) });
      }
      return datasetOf({
        name,
        numbering: { unit: "bytes", words },
        train,
        counts: wholeCounts(counts),
        held,
        genres,
      });
    },
  };
}

/** Bytes of the byte order mark that a file begins with, which is no part of its text. */
function markBytes(file: FileOnDisk): number {
  const start = new Uint8Array(Math.min(3, file.bytes));
  readRange(file, 0, start);
  return start[0] === 0xEF && start[1] === 0xBB && start[2] === 0xBF ? 3 : 0;
}

function tokensOf(parts: readonly TrainingPart[]): Tokens {
  const last = parts[parts.length - 1];
  return {
    length: last.before + last.length,
    subarray(start, end) {
      const bytes = new Uint8Array(end - start);
      for (let at = partAt(parts, start), done = start; done < end; at++) {
        const { file, from, length, before } = parts[at];
        const until = Math.min(end, before + length);
        if (until > done) readRange(file, from + done - before, bytes.subarray(done - start, until - start));
        done = Math.max(done, until);
      }
      return new Int32Array(bytes);
    },
  };
}

/** The part that holds a token: the last that begins at it or before. */
function partAt(parts: readonly TrainingPart[], token: number): number {
  let [low, high] = [0, parts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (parts[middle].before <= token) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Counts and shows a text's training part and gives the rest. */
async function readText(
  { file, from, length }: TrainingPart,
  counts: Float64Array,
  see: (piece: Int32Array) => void,
): Promise<Uint8Array> {
  const held = new Uint8Array(file.bytes - from - length);
  const checked = new TextDecoder("utf-8", { fatal: true });
  let shown = new Int32Array(0);
  let place = -from;
  for await (const piece of piecesOf(file)) {
    checkText(checked, file, piece);
    const text = piece.subarray(Math.max(0, -place));
    const begins = Math.max(0, place);
    const train = text.subarray(0, Math.max(0, length - begins));
    if (shown.length < train.length) shown = new Int32Array(piece.length);
    shown.set(train);
    for (const byte of train) counts[byte]++;
    if (train.length > 0) see(shown.subarray(0, train.length));
    const rest = text.subarray(train.length);
    if (rest.length > 0) held.set(rest, begins + train.length - length);
    place += piece.length;
  }
  checkText(checked, file);
  return held;
}

/** @param piece Absent at the end of the file. */
function checkText(decoder: TextDecoder, { path }: FileOnDisk, piece?: Uint8Array): void {
  try {
    decoder.decode(piece, { stream: piece !== undefined });
  } catch (cause) {
    throw new Error(`Cannot read ${path}: it is not UTF-8 text`, { cause });
  }
}

/** Counts as i32; past 2^31 all are divided by the power of two that makes them fit, since only their ratios matter. */
export function wholeCounts(counts: Float64Array): Int32Array {
  const most = Math.max(...counts);
  const divisor = 2 ** Math.max(0, Math.ceil(Math.log2((most + 1) / 2 ** 31)));
  return Int32Array.from(counts, (count) => Math.floor(count / divisor));
}
