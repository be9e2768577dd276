// Text as the rest of training sees it: words in documents. Tags and genres are optional, so that a user's own text
// and the Brown corpus go through the same code; what needs them (specialisation) asks whether they are there.

/** Word that closes a sentence. */
export const END = "<end>";

/** One text. */
export interface CorpusDocument {
  /** What it is called. */
  readonly name: string;
  /** What kind of text it is; null where the corpus does not say. */
  readonly genre: string | null;
  /** Lower-case words and punctuation in order. */
  readonly words: readonly string[];
  /** One coarse part of speech a word, or null for text without tags. */
  readonly partsOfSpeech: readonly string[] | null;
}

/** Texts to learn from. */
export interface Corpus {
  /** What reports call it. */
  readonly name: string;
  /** All texts, in order. */
  readonly documents: readonly CorpusDocument[];
  /** What its genres are, in the singular, where they are something else: "language". */
  readonly genresAre?: string;
}

/** Texts as they are written, neither cut into words nor tagged. */
export interface Texts {
  /** What reports call them. */
  readonly name: string;
  /** Each text with its name, and its genre where one is known. */
  readonly texts: readonly {
    readonly name: string;
    readonly genre: string | null;
    readonly text: string;
  }[];
  /** What their genres are, in the singular, where they are something else: "language". */
  readonly genresAre?: string;
}
