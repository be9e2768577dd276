// Text as the rest of training sees it: words in documents. Tags and genres are optional, so that a user's own text
// and the Brown corpus go through the same code; what needs them (specialisation) asks whether they are there.

/** Word that closes a sentence. */
export const END = "<end>";

/** One text. */
export interface CorpusDocument {
  readonly name: string;
  readonly genre: string | null;
  /** Lower-case words and punctuation in order. */
  readonly words: readonly string[];
  /** One coarse part of speech a word, or null for text without tags. */
  readonly partsOfSpeech: readonly string[] | null;
}

/** Texts to learn from. */
export interface Corpus {
  readonly name: string;
  readonly documents: readonly CorpusDocument[];
  /** What its genres are, in the singular, where they are something else: "language". */
  readonly genresAre?: string;
}

/** Texts as they are written, neither cut into words nor tagged. */
export interface Texts {
  readonly name: string;
  readonly texts: readonly {
    readonly name: string;
    readonly genre: string | null;
    readonly text: string;
  }[];
  /** What their genres are, in the singular, where they are something else: "language". */
  readonly genresAre?: string;
}
