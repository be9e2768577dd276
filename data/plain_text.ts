// A user's own text as a corpus. It has no files to split by, so paragraphs (or lines, or sentences, where there are too
// few) are gathered into documents of similar length: validation text then shares no sentence with training text. Only a
// sentence too long for that, as in text without full stops, is cut between words.
import { type Corpus, type CorpusDocument, END, type Texts } from "./corpus.ts";

const WORDS_PER_DOCUMENT = 2000;
const FEWEST_DOCUMENTS = 20;
/** Words that a sentence may always have. */
const LONG_SENTENCE = 50;

/** A letter of a script that writes no spaces, as a pattern: it is a word. */
export const UNSPACED = String.raw`[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]`;
// Elsewhere apostrophes, hyphens and decimal points stay inside a word.
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

/** A text whose last sentence is closed. */
const ENDED = /[.!?…。！？]["'”’)\]]*\s*$/u;

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(WORD) ?? [];
}

/** Words of a text that may break off: the last sentence has its end where it is written. */
export function wordsOfPrompt(text: string): string[] {
  const words = sentencesOf(clean(text)).flat();
  return ENDED.test(text) ? words : words.slice(0, -1);
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

/** Sentences of a piece, each a list of words that ends with END. */
function sentencesOf(piece: string): string[][] {
  return sentences(piece).map(wordsOf).filter((words) => words.length > 0).map((words) => [...words, END]);
}

/** Pieces as words; where a sentence is longer than documents should be, its parts are pieces too. */
function wordsOfPieces(found: readonly string[][][], total: number): string[][] {
  const most = found.length < FEWEST_DOCUMENTS
    ? Math.max(LONG_SENTENCE, Math.ceil(total / FEWEST_DOCUMENTS))
    : WORDS_PER_DOCUMENT;
  return found.flatMap((piece) => {
    if (piece.every((words) => words.length <= most)) return [piece.flat()];
    return piece.flatMap((words) =>
      Array.from(
        { length: Math.ceil(words.length / most) },
        (_, at) => words.slice(at * most, (at + 1) * most),
      )
    );
  });
}

/** The words of a text, cut into documents. */
function documentsOf(text: string, name: string): string[][] {
  const found = pieces(clean(text)).map(sentencesOf);
  const total = found.flat().reduce((sum, words) => sum + words.length, 0);
  if (total === 0) throw new RangeError(`Cannot train on ${name}: it holds no words`);
  const wanted = Math.max(FEWEST_DOCUMENTS, Math.ceil(total / WORDS_PER_DOCUMENT));
  const documents: string[][] = [];
  let before = 0;
  let last = -1;
  for (const words of wordsOfPieces(found, total)) {
    // A piece goes to the document its first word falls in when the text is cut into `wanted` equal parts.
    const place = Math.floor(before * wanted / total);
    if (place !== last && words.length > 0) documents.push([]);
    if (words.length > 0) last = place;
    for (const word of words) documents[documents.length - 1].push(word);
    before += words.length;
  }
  return documents;
}

function clean(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(/^\uFEFF/, "");
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
  return wordsOfTexts({ name, texts: [{ name, genre: null, text }] });
}

/**
 * Reads several texts like that. Where a genre has many, each is a document of its own; a few are cut like a single text,
 * so that each genre is both learned and held out.
 * @throws {RangeError} when a text that has to be cut holds no words.
 */
export function wordsOfTexts({ name, texts, genresAre }: Texts): Corpus {
  const sizes = new Map<string | null, number>();
  for (const { genre } of texts) sizes.set(genre, (sizes.get(genre) ?? 0) + 1);
  const documents = texts.flatMap(({ name, genre, text }): CorpusDocument[] => {
    const whole = sizes.get(genre)! >= FEWEST_DOCUMENTS;
    const cut = whole ? [sentencesOf(clean(text)).flat()] : documentsOf(text, name);
    return cut.map((words, at) => ({
      name: whole ? name : `${name} ${at + 1}`,
      genre,
      words,
      partsOfSpeech: null,
    }));
  });
  return genresAre === undefined ? { name, documents } : { name, documents, genresAre };
}
