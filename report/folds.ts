// What a section says of one router after another, each under its name and colour, to be opened and closed.
import { type Content, type Markup, markup, trusted } from "./markup.ts";
import { missing } from "./numbers.ts";
import { sample } from "./sample.ts";
import type { Series } from "./series.ts";

/** Routers that are open at once; of more, each is opened by itself. */
const mostOpen = 3;

/** A fold a router. */
export function folds(series: readonly Series[], content: (each: Series) => Content): Markup[] {
  const open = series.length <= mostOpen;
  return series.map((each) =>
    markup`<details${trusted(open ? " open" : "")}><summary>${sample(each)}${each.name}</summary>${
      content(each)
    }</details>`
  );
}

/** Words of a vocabulary in a cell; a dash where there are none. */
export function wordList(words: readonly string[]): Content {
  return words.length === 0
    ? missing
    : words.map((word, at) => markup`${at > 0 ? ", " : ""}<span class="word">${word}</span>`);
}
