// A user's own text as a corpus. It has no files to split by, so paragraphs (or lines, or sentences, where there are too
// few) are gathered into documents of similar length: validation text then never shares a sentence with training text.
import { type Corpus, END } from "./corpus.ts";

const WORDS_PER_DOCUMENT = 2000;
const FEWEST_DOCUMENTS = 20;

// Scripts that write no spaces give a word a letter; elsewhere apostrophes, hyphens and decimal points stay inside a word.
const UNSPACED = String.raw`[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]`;
const LETTERS = String.raw`(?:(?!${UNSPACED})[\p{L}\p{M}])+`;
const WORD = new RegExp(
  [
    String.raw`${UNSPACED}\p{M}*`,
    `${LETTERS}(?:['’-]${LETTERS})*`,
    String.raw`\p{N}+(?:[.,]\p{N}+)*`,
    String.raw`\S`,
  ].join("|"),
  "gu",
);

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(WORD) ?? [];
}

/** Pieces of text by the coarsest of paragraph, line and sentence that gives enough of them. */
function pieces(text: string): string[] {
  for (const boundary of [/\n\s*\n/, /\n/]) {
    const found = text.split(boundary).filter((piece) => piece.trim() !== "");
    if (found.length >= FEWEST_DOCUMENTS) return found;
  }
  return sentences(text);
}

function sentences(text: string): string[] {
  return text.split(/(?<=[.!?…。！？]["'”’)\]]*)\s+|(?<=[。！？])|\n\s*\n/u).filter((piece) =>
    piece.trim() !== ""
  );
}

/**
 * Reads plain text: lower-case words and punctuation marks, `<end>` after each sentence, no tags.
 * @throws {RangeError} when the text holds no words.
 * @example
 * ```ts
 * import { parsePlainText } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const { documents } = parsePlainText("A cat sat. It purred.", "cats");
 * assertEquals(documents[0].words, ["a", "cat", "sat", ".", "<end>"]);
 * assertEquals(documents[1].words, ["it", "purred", ".", "<end>"]);
 * ```
 */
export function parsePlainText(text: string, name: string): Corpus {
  const parts = pieces(text.replaceAll("\r\n", "\n").replace(/^\uFEFF/, "")).map((piece) =>
    sentences(piece).map(wordsOf).filter((words) => words.length > 0).flatMap((words) => [...words, END])
  );
  const total = parts.reduce((sum, words) => sum + words.length, 0);
  if (total === 0) throw new RangeError(`Cannot train on ${name}: it holds no words`);
  const wanted = Math.max(FEWEST_DOCUMENTS, Math.ceil(total / WORDS_PER_DOCUMENT));
  const documents: string[][] = [];
  let before = 0;
  let last = -1;
  for (const words of parts) {
    // A piece goes to the document its first word falls in when the text is cut into `wanted` equal parts.
    const place = Math.floor(before * wanted / total);
    if (place !== last && words.length > 0) documents.push([]);
    if (words.length > 0) last = place;
    for (const word of words) documents[documents.length - 1].push(word);
    before += words.length;
  }
  return {
    name,
    documents: documents.map((words, at) => ({
      name: `${name} ${at + 1}`,
      genre: null,
      words,
      partsOfSpeech: null,
    })),
  };
}
