// A list of short texts that is written anew only when one changes.
/// <reference lib="dom" />
import { element } from "../dom.ts";

/** A list in the page. */
export interface TextList {
  readonly root: HTMLElement;
  show(texts: readonly string[]): void;
}

/** An empty list. @param kind Its class. */
export function createTextList(kind: string): TextList {
  const root = element("ul", { class: kind });
  let said = "";
  return {
    root,
    show(texts) {
      if (said === texts.join("\n")) return;
      said = texts.join("\n");
      root.replaceChildren(...texts.map((text) => element("li", {}, text)));
    },
  };
}
