// Words of a vocabulary in a cell of a table.
import { type Content, markup } from "./markup.ts";
import { missing } from "./numbers.ts";

/** Separated by commas; a dash where there are none. */
export function wordList(words: readonly string[]): Content {
  return words.length === 0
    ? missing
    : words.map((word, at) => markup`${at > 0 ? ", " : ""}<span class="word">${word}</span>`);
}
