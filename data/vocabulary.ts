// Words to numbers. Built from training text alone, so that nothing about validation text reaches the model.
import type { CorpusDocument } from "./corpus.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Word of number 0, for every word outside the vocabulary. */
export const UNKNOWN = "<unknown>";

/** A numbering of words, of bytes, or of a tokenizer's sub-words. */
export interface Vocabulary {
  /** What a number stands for: a word, the byte of its value, or a token of the tokenizer. */
  readonly unit: "words" | "bytes" | "sub-words";
  /** How many numbers there are. */
  readonly size: number;
  /** Words by number: `<unknown>`, then from frequent to rare. Of bytes, what each is called. */
  readonly words: readonly string[];
  /** Number of a word; 0 for one outside the vocabulary. */
  idOf(word: string): number;
  /** Times each number occurs in the text the vocabulary was built from. */
  readonly counts: Int32Array;
  /** Of sub-words, what makes them. */
  readonly tokenizer?: Tokenizer;
}

/** What numbers stand for, and what they are called, in order. */
export type Numbering = Pick<Vocabulary, "unit" | "words" | "tokenizer">;

/** A vocabulary from its numbering, and how often each number occurs. */
export function vocabularyOf({ unit, words, tokenizer }: Numbering, counts: Int32Array): Vocabulary {
  const numbers = new Map(words.map((word, number) => [word, number]));
  const idOf = (word: string) => numbers.get(word) ?? 0;
  return { unit, size: words.length, words, idOf, counts, ...(tokenizer ? { tokenizer } : {}) };
}

/**
 * Numbers the `size - 1` most frequent words (ties in order of their letters), fewer where there are not as many.
 * @throws {RangeError} when `size` is not a whole number of at least 2.
 * @example
 * ```ts
 * import { buildVocabulary, parsePlainText } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const vocabulary = buildVocabulary(parsePlainText("a b a c", "letters").documents, 3);
 * assertEquals(vocabulary.words, ["<unknown>", "a", "<end>"]);
 * assertEquals([vocabulary.idOf("a"), vocabulary.idOf("c")], [1, 0]);
 * ```
 */
export function buildVocabulary(documents: readonly CorpusDocument[], size: number): Vocabulary {
  if (!Number.isInteger(size) || size < 2) {
    throw new RangeError(`Cannot build a vocabulary of ${size} words: choose a whole number of at least 2`);
  }
  const seen = new Map<string, number>();
  let total = 0;
  for (const { words } of documents) {
    for (const word of words) seen.set(word, (seen.get(word) ?? 0) + 1);
    total += words.length;
  }
  seen.delete(UNKNOWN);
  const kept = [...seen]
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .slice(0, size - 1);
  const inside = kept.reduce((sum, [, count]) => sum + count, 0);
  const words = [UNKNOWN, ...kept.map(([word]) => word)];
  return vocabularyOf(
    { unit: "words", words },
    Int32Array.from([total - inside, ...kept.map(([, count]) => count)]),
  );
}
