// The panels of all runs, made anew when another kind of scene is watched, and the sentence to watch.
/// <reference lib="dom" />
import { element, setText } from "../../dom.ts";
import type { SceneKind } from "../../tasks.ts";
import type { ShownRun } from "../shown.ts";
import { createScenePanel, type ScenePanel } from "./panel.ts";

const about: Readonly<Record<SceneKind, string>> = {
  topics:
    "For each topic of held-out inputs (columns), the percentage of its tokens that each expert (rows) takes.",
  plane:
    "The expert that weighs most at each place of the square, by number and colour; lines are the borders of the " +
    "function's pieces. × marks what no expert took.",
  sentence:
    "The experts that take each word, by number; the line has the first one's colour. Words that found no " +
    "room are struck through.",
};

/** The panels. */
export interface Scenes {
  show(runs: readonly ShownRun[], layer: number | null): void;
}

/** Panels in a part of the page. @param text Where it says what they show. */
export function createScenes(root: HTMLElement, text: HTMLElement): Scenes {
  let kind: SceneKind | null = null;
  let panels: ScenePanel[] = [];
  return {
    show(runs, layer) {
      const now = runs[0]?.run.start.scene ?? null;
      if (now !== kind) [kind, panels] = [now, []];
      setText(text, kind === null ? "Press Train to see it." : about[kind]);
      while (kind !== null && panels.length < runs.length) panels.push(createScenePanel(kind));
      const wanted = panels.slice(0, runs.length).map((panel) => panel.root);
      if (
        wanted.some((panel, at) => root.children[at] !== panel) || root.childElementCount !== wanted.length
      ) {
        root.replaceChildren(...wanted);
      }
      runs.forEach((shown, at) => panels[at].show(shown, layer));
    },
  };
}

/** The field for a sentence of the user's. @param take Takes it; null for a held-out one. */
export function createSentenceField(take: (sentence: string | null) => void): {
  readonly root: HTMLElement;
  show(sentence: string | null, isOfText: boolean): void;
} {
  const input = element("input", {
    id: "sentence",
    type: "text",
    placeholder: "a held-out sentence",
    maxlength: 400,
  });
  input.addEventListener("change", () => take(input.value.trim() === "" ? null : input.value));
  const root = element(
    "p",
    { class: "field wide" },
    element("label", { for: "sentence" }, "Sentence to watch (empty for a held-out one)"),
    input,
  );
  return {
    root,
    show(sentence, isOfText) {
      root.hidden = !isOfText;
      if (document.activeElement !== input) input.value = sentence ?? "";
    },
  };
}
