// Text as bytes: no words to choose, nothing outside the vocabulary, every script alike. The end of each text is held out,
// and not whole texts, so that a corpus of a few (one a language) is judged on all of them.
import type { Texts } from "./corpus.ts";
import { type Dataset, perplexityOf } from "./dataset.ts";
import type { Vocabulary } from "./vocabulary.ts";

const BYTES = 256;

/** What a byte is called: the ASCII character it stands for, or its value. */
function nameOf(byte: number): string {
  return byte > 32 && byte < 127 ? String.fromCharCode(byte) : `0x${byte.toString(16).padStart(2, "0")}`;
}

function byteVocabulary(counts: Int32Array): Vocabulary {
  const words = Array.from({ length: BYTES }, (_, byte) => nameOf(byte));
  const numbers = new Map(words.map((word, byte) => [word, byte]));
  return { size: BYTES, words, idOf: (word) => numbers.get(word) ?? 0, counts };
}

/**
 * Texts as numbered UTF-8 bytes, one text after another; the last `validationShare` of each is held out.
 * @throws {RangeError} when there are no bytes to train on or none to hold out.
 */
export function prepareBytes({ name, texts }: Texts, validationShare: number): Dataset {
  const genres = [...new Set(texts.flatMap(({ genre }) => genre === null ? [] : [genre]))];
  const encoder = new TextEncoder();
  const parts = texts.map(({ genre, text }) => {
    const bytes = encoder.encode(text);
    const cut = Math.floor(bytes.length * (1 - validationShare));
    return { train: bytes.subarray(0, cut), held: bytes.subarray(cut), genre };
  });
  const train = join(parts.map((part) => part.train));
  const validation = join(parts.map((part) => part.held));
  if (train.length === 0 || validation.length === 0) {
    throw new RangeError(
      `Cannot train on ${name}: it has ${
        train.length + validation.length
      } bytes, too few to hold out a share of ` +
        `${validationShare}`,
    );
  }
  const counts = new Int32Array(BYTES);
  for (const byte of train) counts[byte]++;
  return {
    name,
    vocabulary: byteVocabulary(counts),
    train,
    validation,
    partOfSpeech: new Int32Array(validation.length).fill(-1),
    partsOfSpeech: [],
    genre: join(
      parts.map(({ held, genre }) => new Int32Array(held.length).fill(genres.indexOf(genre ?? ""))),
    ),
    genres,
    countByToken: counts,
    unigramPerplexity: perplexityOf(counts, validation),
  };
}

function join(pieces: readonly (Uint8Array | Int32Array)[]): Int32Array {
  const all = new Int32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
