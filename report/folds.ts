// One fold a router, under its name and colour: what a section says of each.
import { type Content, type Markup, markup, trusted } from "./markup.ts";
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
