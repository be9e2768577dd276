// Where one run's tokens go: its task's kind of view, and the router's probabilities of what is selected there.
/// <reference lib="dom" />
import { element, setText } from "../../dom.ts";
import type { SceneKind } from "../../tasks.ts";
import type { ShownRun } from "../shown.ts";
import { lookAt, meanProbability } from "./look.ts";
import { createPlaneView } from "./plane.ts";
import { createProbabilities } from "./probabilities.ts";
import { createSentenceView } from "./sentence.ts";
import { createTopicsView } from "./topics.ts";
import type { SceneView } from "./view.ts";

const views: Readonly<Record<SceneKind, (moved: () => void) => SceneView>> = {
  topics: createTopicsView,
  plane: createPlaneView,
  sentence: createSentenceView,
};

/** What all tokens of a scene are called. */
const all: Readonly<Record<SceneKind, string>> = {
  topics: "all held-out tokens here",
  plane: "the square",
  sentence: "the sentence",
};

/** A run's panel. */
export interface ScenePanel {
  readonly root: HTMLElement;
  show(shown: ShownRun, layer: number | null): void;
}

/** A panel for a kind of scene. */
export function createScenePanel(kind: SceneKind): ScenePanel {
  const title = element("h3");
  const waiting = element("p", { class: "about" }, "Looking ...");
  let again = () => {};
  const view = views[kind](() => again());
  const probabilities = createProbabilities();
  const body = element("div", { class: kind }, view.root, probabilities.root);
  return {
    root: element("div", {}, title, waiting, body),
    show(shown, layer) {
      again = () => show();
      const show = () => {
        setText(title, shown.label);
        const { looks } = shown.run;
        const experts = lookAt(shown.run, layer);
        const isThere = looks !== null && experts !== null && looks.scene.kind === kind;
        waiting.hidden = isThere;
        body.hidden = !isThere;
        if (!isThere) return;
        view.show(looks.scene, experts);
        const selected = view.selection(looks.scene);
        const some = selected?.tokens ?? experts.tokens.map((_, at) => at);
        probabilities.show(selected?.label ?? all[kind], meanProbability(experts, some));
      };
      show();
    },
  };
}
