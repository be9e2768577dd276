// Charts side by side, one for each run.
/// <reference lib="dom" />
import { createHeatChart, type HeatPlot } from "../charts/heat_chart.ts";
import { element, setText } from "../dom.ts";
import type { ShownRun } from "./shown.ts";

/** Panels in the page. */
export interface Panels {
  show(runs: readonly ShownRun[]): void;
}

/** A chart of colours for each run, with its point in words below. @param kind Class of a panel, which sets its height. */
export function createHeatPanels(
  root: HTMLElement,
  kind: string,
  label: string,
  plotOf: (shown: ShownRun) => HeatPlot,
  noteOn: (shown: ShownRun) => string,
): Panels {
  const panels: { readonly root: HTMLElement; readonly show: (shown: ShownRun) => void }[] = [];
  const add = () => {
    const title = element("h3");
    const note = element("p", { class: "about" });
    const chart = createHeatChart(label);
    panels.push({
      root: element("div", { class: kind }, title, chart.root, note),
      show(shown) {
        setText(title, shown.label);
        chart.show(plotOf(shown));
        setText(note, noteOn(shown));
      },
    });
  };
  return {
    show(runs) {
      while (panels.length < runs.length) add();
      const wanted = panels.slice(0, runs.length).map((panel) => panel.root);
      if (root.childElementCount !== wanted.length) root.replaceChildren(...wanted);
      runs.forEach((shown, at) => panels[at].show(shown));
    },
  };
}
