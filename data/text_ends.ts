// Texts as numbers, each cut near its end: what bytes and sub-words share. The end of each text is held out, and not whole
// texts, so that a corpus of a few (one a language) is judged on all of them.
import { joined } from "../tensor/joined.ts";
import { type Dataset, perplexityOf, type Tokens } from "./dataset.ts";
import { type Numbering, vocabularyOf } from "./vocabulary.ts";

/** Most tokens that are held out of a corpus, give or take one a text. */
export const MOST_HELD_OUT = 2 ** 20;

/** A text, or a part of one. */
export interface NumberedText {
  readonly genre: string | null;
  readonly tokens: Uint8Array | Int32Array;
}

/** A corpus whose texts have been cut. */
export interface CutTexts<Train extends Tokens> {
  readonly name: string;
  readonly numbering: Numbering;
  readonly train: Train;
  /** Times each token occurs in `train`. */
  readonly counts: Int32Array;
  readonly held: readonly NumberedText[];
  readonly genres: readonly string[];
}

/**
 * Where each text's training part ends.
 * @param unit What its tokens are, in the plural.
 * @throws {RangeError} when there are no tokens to train on or none to hold out.
 */
export function cutsOf(
  name: string,
  sizes: readonly number[],
  validationShare: number,
  unit: string,
): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const share = Math.min(validationShare, MOST_HELD_OUT / total);
  const cuts = sizes.map((size) => Math.floor(size * (1 - share)));
  const train = cuts.reduce((sum, cut) => sum + cut, 0);
  if (train === 0 || train === total) {
    throw new RangeError(
      `Cannot train on ${name}: it has ${total} ${unit}, too few to hold out a share of ${validationShare}`,
    );
  }
  return cuts;
}

/** Genres of texts, in order of their first. */
export function genresOf(texts: readonly { readonly genre: string | null }[]): string[] {
  return [...new Set(texts.flatMap(({ genre }) => genre === null ? [] : [genre]))];
}

/** A dataset of texts that have been cut. */
export function datasetOf<Train extends Tokens>(cut: CutTexts<Train>): Dataset<Train> {
  const { name, numbering, train, counts, held, genres } = cut;
  const validation = joined(Int32Array, held.map(({ tokens }) => tokens));
  return {
    name,
    vocabulary: vocabularyOf(numbering, counts),
    train,
    validation,
    partOfSpeech: new Int32Array(validation.length).fill(-1),
    partsOfSpeech: [],
    genre: joined(
      Int32Array,
      held.map(({ tokens, genre }) => new Int32Array(tokens.length).fill(genres.indexOf(genre ?? ""))),
    ),
    genres,
    countByToken: counts,
    unigramPerplexity: perplexityOf(counts, validation),
  };
}

/**
 * Cuts texts in memory: their training parts one after another, and the last `validationShare` of each held out, 2^20 tokens
 * of all at most.
 * @throws {RangeError} when there are no tokens to train on or none to hold out.
 */
export function cutAtEnds(
  { name, texts, numbering }: {
    readonly name: string;
    readonly texts: readonly NumberedText[];
    readonly numbering: Numbering;
  },
  validationShare: number,
): Dataset {
  const cuts = cutsOf(name, texts.map(({ tokens }) => tokens.length), validationShare, numbering.unit);
  const train = joined(Int32Array, texts.map(({ tokens }, at) => tokens.subarray(0, cuts[at])));
  const counts = new Int32Array(numbering.words.length);
  for (const token of train) counts[token]++;
  const held = texts.map(({ genre, tokens }, at) => ({ genre, tokens: tokens.subarray(cuts[at]) }));
  return datasetOf({ name, numbering, train, counts, held, genres: genresOf(texts) });
}
