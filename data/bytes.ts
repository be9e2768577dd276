// Text as bytes: no words to choose, nothing outside the vocabulary, every script alike. The end of each text is held out,
// and not whole texts, so that a corpus of a few (one a language) is judged on all of them.
import type { Texts } from "./corpus.ts";
import { type Dataset, perplexityOf, type Tokens } from "./dataset.ts";
import type { Vocabulary } from "./vocabulary.ts";

const BYTES = 256;
/** Most bytes that are held out of a corpus, give or take one a text. */
export const MOST_HELD_OUT = 2 ** 20;

/** What a byte is called: the ASCII character it stands for, or its value. */
function nameOf(byte: number): string {
  return byte > 32 && byte < 127 ? String.fromCharCode(byte) : `0x${byte.toString(16).padStart(2, "0")}`;
}

/** Names of the bytes, by value. */
export function byteNames(): string[] {
  return Array.from({ length: BYTES }, (_, byte) => nameOf(byte));
}

function byteVocabulary(counts: Int32Array): Vocabulary {
  const words = byteNames();
  const numbers = new Map(words.map((word, byte) => [word, byte]));
  return { size: BYTES, words, idOf: (word) => numbers.get(word) ?? 0, counts };
}

/** A text's end that is held out. */
export interface HeldOut {
  readonly genre: string | null;
  readonly bytes: Uint8Array;
}

/**
 * Where each text's training part ends.
 * @throws {RangeError} when there are no bytes to train on or none to hold out.
 */
export function cutsOf(name: string, sizes: readonly number[], validationShare: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const share = Math.min(validationShare, MOST_HELD_OUT / total);
  const cuts = sizes.map((size) => Math.floor(size * (1 - share)));
  const train = cuts.reduce((sum, cut) => sum + cut, 0);
  if (train === 0 || train === total) {
    throw new RangeError(
      `Cannot train on ${name}: it has ${total} bytes, too few to hold out a share of ${validationShare}`,
    );
  }
  return cuts;
}

/** A dataset of bytes from its parts. */
export function byteDataset<Train extends Tokens>(
  name: string,
  train: Train,
  counts: Int32Array,
  held: readonly HeldOut[],
  genres: readonly string[],
): Dataset<Train> {
  const validation = join(held.map(({ bytes }) => bytes));
  return {
    name,
    vocabulary: byteVocabulary(counts),
    train,
    validation,
    partOfSpeech: new Int32Array(validation.length).fill(-1),
    partsOfSpeech: [],
    genre: join(
      held.map(({ bytes, genre }) => new Int32Array(bytes.length).fill(genres.indexOf(genre ?? ""))),
    ),
    genres,
    countByToken: counts,
    unigramPerplexity: perplexityOf(counts, validation),
  };
}

/** Genres of texts, in order of their first. */
export function genresOf(texts: readonly { readonly genre: string | null }[]): string[] {
  return [...new Set(texts.flatMap(({ genre }) => genre === null ? [] : [genre]))];
}

/**
 * Texts as numbered UTF-8 bytes, one text after another; the last `validationShare` of each is held out, 1 MiB of all at
 * most.
 * @throws {RangeError} when there are no bytes to train on or none to hold out.
 */
export function prepareBytes({ name, texts }: Texts, validationShare: number): Dataset {
  const encoder = new TextEncoder();
  const encoded = texts.map(({ text }) => encoder.encode(text));
  const cuts = cutsOf(name, encoded.map(({ length }) => length), validationShare);
  const train = join(encoded.map((bytes, at) => bytes.subarray(0, cuts[at])));
  const counts = new Int32Array(BYTES);
  for (const byte of train) counts[byte]++;
  const held = texts.map(({ genre }, at) => ({ genre, bytes: encoded[at].subarray(cuts[at]) }));
  return byteDataset(name, train, counts, held, genresOf(texts));
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
