// The runs as a table: where each stands and what it has come to.
/// <reference lib="dom" />
import { percent, short } from "../charts/scale.ts";
import { element } from "../dom.ts";
import type { Run } from "../run/run.ts";
import { layerAt, type ShownRun } from "./shown.ts";

const stages: Readonly<Record<Run["stage"], string>> = {
  starting: "starting",
  training: "training",
  paused: "paused",
  done: "finished",
  stopped: "stopped",
  failed: "failed",
};

const COLUMNS = [
  "Router",
  "Stage",
  "Step",
  "Loss in training",
  "Loss held out",
  "Dropped",
  "Load, largest over mean",
];

/** A row's texts. */
export function rowOf({ run, label }: Pick<ShownRun, "run" | "label">, layer: number | null): string[] {
  const { stage, steps, evaluations, header, config } = run;
  const last = steps.at(-1);
  const load = last && layerAt(last.layers, layer);
  return [
    label,
    stages[stage],
    `${last ? last.step + 1 : 0} of ${header?.steps ?? config.train.steps}`,
    last ? short(last.loss) : "",
    evaluations.length > 0 ? short(evaluations.at(-1)!.loss) : "",
    load ? percent(load.droppedShare) : "",
    load ? short(load.maxOverMean) : "",
  ];
}

/** The table. */
export function createRunTable(): {
  readonly root: HTMLElement;
  show(runs: readonly ShownRun[], layer: number | null): void;
} {
  const body = element("tbody", { role: "rowgroup" });
  const head = element(
    "tr",
    { role: "row" },
    ...COLUMNS.map((name) => element("th", { scope: "col", role: "columnheader" }, name)),
  );
  // Narrow pages lay rows out as lists; roles keep them a table.
  const root = element(
    "table",
    { role: "table", class: "runs" },
    element("thead", { role: "rowgroup" }, head),
    body,
  );
  return {
    root,
    show(runs, layer) {
      root.hidden = runs.length === 0;
      body.replaceChildren(...runs.map((each) => {
        const [label, ...rest] = rowOf(each, layer);
        return element(
          "tr",
          { role: "row" },
          element("th", { scope: "row", role: "rowheader" }, label),
          ...rest.map((text, at) => element("td", { role: "cell", "data-label": COLUMNS[at + 1] }, text)),
        );
      }));
    },
  };
}
