// A sentence, each word marked with the expert that takes it: a line in the expert's colour and its number. A word that no
// expert had room for is struck through.
/// <reference lib="dom" />
import { hues } from "../../../report/palette.ts";
import { short } from "../../charts/scale.ts";
import { element, setText } from "../../dom.ts";
import { type ExpertsOf, fateOf } from "./look.ts";
import type { TokenInLayer } from "../../../training/look.ts";
import type { Scene } from "../../run/messages.ts";
import type { SceneView } from "./view.ts";

/** Experts of a word that are written out; the rest is told under the pointer. */
const MOST_NUMBERS = 3;

type Sentence = Extract<Scene, { readonly kind: "sentence" }>;

/** The view; a word under the pointer, or one reached by the arrow keys, is the one selected. */
export function createSentenceView(moved: () => void): SceneView {
  const list = element("div", { class: "words", role: "listbox", "aria-label": "Words and their experts" });
  const said = element("output", { class: "said" });
  let words: Sentence["words"] = [];
  let place: number | null = null;
  const select = (at: number | null, focus: boolean) => {
    place = at;
    [...list.children].forEach((word, each) => {
      word.setAttribute("tabindex", each === (at ?? 0) ? "0" : "-1");
      word.setAttribute("aria-selected", String(each === at));
    });
    if (focus && at !== null) (list.children[at] as HTMLElement).focus();
    moved();
  };
  const placeOf = (event: Event) => {
    const word = (event.target as Element).closest("[role=option]");
    return word ? [...list.children].indexOf(word) : null;
  };
  list.addEventListener("pointerover", (event) => select(placeOf(event), false));
  list.addEventListener("pointerleave", () => select(null, false));
  list.addEventListener("focusin", (event) => select(placeOf(event), false));
  list.addEventListener("keydown", (event) => {
    const to = keyed(event.key, place ?? 0, words.length);
    if (to === null) return;
    event.preventDefault();
    select(to, true);
  });
  return {
    root: element("div", { class: "sentence" }, list, said),
    show(scene, experts) {
      if (scene.kind !== "sentence") return;
      if (words !== scene.words && words.join(" ") !== scene.words.join(" ")) {
        words = scene.words;
        list.replaceChildren(...words.map((word, at) => wordOf(word, scene.known[at])));
        select(null, false);
      }
      words.forEach((_, at) => showWord(list.children[at] as HTMLElement, experts.tokens[at]));
      setText(said, place === null ? "" : sayWord(scene, experts, place));
    },
    selection: () => place === null ? null : { label: `“${words[place]}”`, tokens: [place] },
  };
}

function keyed(key: string, from: number, length: number): number | null {
  switch (key) {
    case "ArrowRight":
    case "ArrowDown":
      return Math.min(length - 1, from + 1);
    case "ArrowLeft":
    case "ArrowUp":
      return Math.max(0, from - 1);
    case "Home":
      return 0;
    case "End":
      return length - 1;
    default:
      return null;
  }
}

function wordOf(word: string, known: boolean): HTMLElement {
  return element(
    "span",
    { role: "option", class: known ? "word" : "word unknown", tabindex: -1 },
    element("span", { class: "text" }, word === "<end>" ? "¶" : word),
    element("sub", { "aria-hidden": "true" }),
    element("span", { class: "unseen" }),
  );
}

/** What is told of a word. */
function sayWord({ words, known }: Sentence, { tokens }: ExpertsOf, at: number): string {
  const unknown = known[at] ? "" : " (not in the vocabulary)";
  return `“${words[at]}”${unknown}: ${fateOf(tokens[at], short)}`;
}

function showWord(word: HTMLElement, token: TokenInLayer | undefined): void {
  const kept = token?.kept.map(({ expert }) => expert) ?? [];
  const isDropped = token !== undefined && kept.length === 0;
  const [text, sub, said] = word.children as unknown as HTMLElement[];
  word.classList.toggle("dropped", isDropped);
  text.style.borderColor = kept.length > 0 ? `var(--series-${kept[0] % hues.length})` : "var(--muted)";
  setText(
    sub,
    isDropped ? "×" : kept.length > MOST_NUMBERS ? `${kept.slice(0, 2).join(",")},…` : kept.join(","),
  );
  setText(said, `: ${fateOf(token, short)}`);
}
