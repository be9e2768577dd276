// Loss by step: of training steps thin, of held-out examples joined dots, and losses that need no router as marks.
import { createLineChart, type Line, type LinePlot, type Mark } from "../charts/line_chart.ts";
import { short } from "../charts/scale.ts";
import type { ShownRun } from "./shown.ts";

/** The lines of a run. */
function linesOf({ run: { steps, evaluations }, label, hue, dashed, faint }: ShownRun): Line[] {
  const line = (name: string, form: Line["form"], rows: readonly { step: number; loss: number }[]): Line => ({
    label: name,
    hue,
    form,
    dashed,
    faint,
    length: rows.length,
    x: (at) => rows[at].step,
    y: (at) => rows[at].loss,
  });
  return [line(`${label} in training`, "thin", steps), line(`${label} held out`, "dots", evaluations)];
}

/** Losses that need no router of the user's: those that the task knows, and controls'. */
export function marksOf(runs: readonly ShownRun[], controls: readonly Mark[]): Mark[] {
  const headers = runs.flatMap(({ run: { header } }) => header ?? []);
  const references = headers.at(-1)?.data.references ?? [];
  return [...references.map(({ name, loss }) => ({ label: name, value: loss })), ...controls];
}

/** What the loss chart shows. */
export function lossPlot(runs: readonly ShownRun[], marks: readonly Mark[]): LinePlot {
  return {
    lastStep: Math.max(1, ...runs.map(({ run }) => run.header?.steps ?? 1)),
    lines: runs.flatMap(linesOf),
    marks,
    format: short,
  };
}

export const createLossChart = () => createLineChart("Loss by step");
