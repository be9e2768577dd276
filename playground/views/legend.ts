// What lines and colours mean, in words beside a sample of each.
/// <reference lib="dom" />
import { element } from "../dom.ts";
import type { ShownRun } from "./shown.ts";

/** A list that is written anew only when what it says changes. */
export interface Legend {
  readonly root: HTMLElement;
  show(runs: readonly ShownRun[]): void;
}

/** Samples of lines, one a run. */
export function createLegend(): Legend {
  const root = element("ul", { class: "legend" });
  let said = "";
  return {
    root,
    show(runs) {
      const key = JSON.stringify(runs.map(({ label, hue, dashed, faint }) => [label, hue, dashed, faint]));
      if (key === said) return;
      said = key;
      root.replaceChildren(...runs.map(({ label, hue, dashed, faint }) => {
        const sample = element("span", { class: "sample", "aria-hidden": "true" });
        sample.style.borderTop = `3px ${dashed ? "dashed" : "solid"} var(--series-${hue})`;
        if (faint) sample.style.opacity = "0.4";
        return element("li", {}, sample, label);
      }));
    },
  };
}
