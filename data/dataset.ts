// A corpus cut into training and validation text, as numbers. The cut is by document and the same in every run: a run's
// seed decides the order of training text, never what is held out, so runs with different seeds can be compared.
import type { Corpus, CorpusDocument } from "./corpus.ts";
import { buildVocabulary, type Vocabulary } from "./vocabulary.ts";

/** How a corpus is prepared. */
export interface PrepareOptions {
  /** Most words to number, `<unknown>` included. */
  readonly vocabulary: number;
  /** Share of each genre's documents to hold out, above 0 and below 1. */
  readonly validationShare?: number;
}

/** Token numbers that are read by range: an Int32Array, or a text on disk. */
export interface Tokens {
  /** How many tokens there are. */
  readonly length: number;
  /** Tokens from `start` to before `end`, 0 <= start <= end <= length. */
  subarray(start: number, end: number): Int32Array;
}

/** A corpus ready for training. */
export interface Dataset<Train extends Tokens = Int32Array> {
  /** Name of the corpus. */
  readonly name: string;
  /** The numbering of its words. */
  readonly vocabulary: Vocabulary;
  /** Token numbers of the training documents, one after another. */
  readonly train: Train;
  /** The same for the documents held out. */
  readonly validation: Int32Array;
  /** Part of speech of each validation token as an index in `partsOfSpeech`; -1 where the corpus has none. */
  readonly partOfSpeech: Int32Array;
  /** Names of parts of speech; none where the corpus has none. */
  readonly partsOfSpeech: readonly string[];
  /** Genre of each validation token as an index in `genres`; -1 where the corpus has none. */
  readonly genre: Int32Array;
  /** Names of genres; none where the corpus has none. */
  readonly genres: readonly string[];
  /** Times each token number occurs in training text. */
  readonly countByToken: Int32Array;
  /** Perplexity on validation text of training frequencies alone, with one added to each count. */
  readonly unigramPerplexity: number;
}

/** Marks documents to hold out: evenly through each genre, so one of a genre's first ten at a tenth. */
function heldOut(documents: readonly CorpusDocument[], share: number): boolean[] {
  const places = new Map<string | null, number>();
  const marks = documents.map(({ genre }) => {
    const place = places.get(genre) ?? 0;
    places.set(genre, place + 1);
    // Rounded up by a hair, since 0.1 + 0.1 + 0.1 is not 0.3.
    const marksUpTo = (count: number) => Math.floor(count * share + 0.5 + 1e-9);
    return marksUpTo(place + 1) > marksUpTo(place);
  });
  // Too few documents for their share: the last one is held out, and one always stays.
  if (!marks.includes(true)) marks[marks.length - 1] = true;
  if (!marks.includes(false)) marks[0] = false;
  return marks;
}

/** Perplexity of tokens under counts, with one added to each. */
export function perplexityOf(counts: Int32Array, tokens: Int32Array): number {
  const total = counts.reduce((sum, count) => sum + count, 0) + counts.length;
  let loss = 0;
  // The first token is the target of no other.
  for (let at = 1; at < tokens.length; at++) loss -= Math.log((counts[tokens[at]] + 1) / total);
  return Math.exp(loss / (tokens.length - 1));
}

/**
 * Cuts a corpus into training and validation text and numbers its words.
 * @throws {RangeError} when the corpus has fewer than two documents or `validationShare` is out of range.
 * @example
 * ```ts
 * import { parsePlainText, prepare } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const dataset = prepare(parsePlainText("A cat sat. ".repeat(200), "cats"), { vocabulary: 100 });
 * assertEquals([dataset.train.length, dataset.validation.length], [900, 100]); // 20 documents, a tenth held out
 * assertEquals(dataset.vocabulary.size, 6);
 * ```
 */
export function prepare(
  corpus: Corpus,
  { vocabulary: size, validationShare = 0.1 }: PrepareOptions,
): Dataset {
  if (!(validationShare > 0 && validationShare < 1)) {
    throw new RangeError(
      `Cannot hold out a share of ${validationShare} of ${corpus.name}: choose a number between 0 and 1`,
    );
  }
  const documents = corpus.documents.filter(({ words }) => words.length > 0);
  if (documents.length < 2) {
    throw new RangeError(
      `Cannot train on ${corpus.name}: it has ${documents.length} document${
        documents.length === 1 ? "" : "s"
      } with ` +
        "words, and one more than the training text is needed for validation",
    );
  }
  const marks = heldOut(documents, validationShare);
  const trainDocuments = documents.filter((_, at) => !marks[at]);
  const validationDocuments = documents.filter((_, at) => marks[at]);
  const vocabulary = buildVocabulary(trainDocuments, size);
  const numbers = (texts: readonly CorpusDocument[]) =>
    Int32Array.from(texts.flatMap(({ words }) => words.map(vocabulary.idOf)));

  const genres = [...new Set(documents.flatMap(({ genre }) => genre === null ? [] : [genre]))];
  const partsOfSpeech = [...new Set(documents.flatMap((text) => [...new Set(text.partsOfSpeech ?? [])]))]
    .sort();
  const placeOf = new Map(partsOfSpeech.map((part, at) => [part, at]));
  const validation = numbers(validationDocuments);
  return {
    name: corpus.name,
    vocabulary,
    train: numbers(trainDocuments),
    validation,
    partOfSpeech: Int32Array.from(
      validationDocuments.flatMap(({ words, partsOfSpeech: parts }) =>
        words.map((_, at) => parts === null ? -1 : placeOf.get(parts[at])!)
      ),
    ),
    partsOfSpeech,
    genre: Int32Array.from(
      validationDocuments.flatMap(({ words, genre }) =>
        words.map(() => genre === null ? -1 : genres.indexOf(genre))
      ),
    ),
    genres,
    countByToken: vocabulary.counts,
    unigramPerplexity: perplexityOf(vocabulary.counts, validation),
  };
}
