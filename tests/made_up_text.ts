// Text that can be learnt in seconds: a chain in which each word is mostly followed by one of three others. It comes out
// of this package's own generator, so every machine reads the same.
import { random } from "../tensor/random.ts";
import type { Corpus } from "../data/corpus.ts";
import { type Dataset, prepare } from "../data/dataset.ts";

/** How much text to make. */
export interface MadeUpText {
  readonly seed?: number;
  readonly documents?: number;
  readonly wordsEach?: number;
  /** Different words. */
  readonly words?: number;
}

/** A word of two syllables for each number below 10,000. */
function wordOf(number: number): string {
  const syllable = (at: number) => "bcdfghjklmnpqrstvwxz"[at % 20] + "aeiou"[Math.floor(at / 20)];
  return syllable(number % 100) + syllable(Math.floor(number / 100) % 100);
}

/** Documents of words. */
export function madeUpWords(
  { seed = 7, documents = 20, wordsEach = 400, words = 60 }: MadeUpText = {},
): string[][] {
  const stream = random(seed);
  const next = stream.split("next").uniform(3 * words).map((value) => Math.floor(value * words));
  return Array.from({ length: documents }, (_, at) => {
    const draws = stream.split("document").split(at).uniform(2 * wordsEach);
    let word = at % words;
    return Array.from({ length: wordsEach }, (_, place) => {
      const [turn, choice] = [draws[2 * place], draws[2 * place + 1]];
      // One word in ten is drawn afresh; small numbers are likelier, as in language.
      word = turn < 0.1 ? Math.floor(words * choice ** 2) : next[3 * word + Math.floor(3 * choice ** 2)];
      return wordOf(word);
    });
  });
}

/** The words as a data set, with parts of speech and genres made up to match. */
export function madeUpDataset(text: MadeUpText & { readonly vocabulary?: number } = {}): Dataset {
  const corpus: Corpus = {
    name: "made up",
    documents: madeUpWords(text).map((words, at) => ({
      name: `document ${at}`,
      genre: at % 2 === 0 ? "even" : "odd",
      words,
      partsOfSpeech: words.map((word) => word < "k" ? "NOUN" : "VERB"),
    })),
  };
  return prepare(corpus, { vocabulary: text.vocabulary ?? 64 });
}

/** The words as a text of paragraphs and sentences. */
export function madeUpParagraphs(text: MadeUpText = {}): string {
  return madeUpWords(text).map((words) => words.join(" ").replaceAll(" baba ", " baba. ") + ".").join(
    "\n\n",
  ) +
    "\n";
}
