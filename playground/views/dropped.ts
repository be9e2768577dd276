// Share of assignments that found no room in their expert, by step.
import { createLineChart, type Line, type LinePlot } from "../charts/line_chart.ts";
import { percent } from "../charts/scale.ts";
import { layerAt, type ShownRun } from "./shown.ts";

/** What the chart of drops shows of a layer. */
export function droppedPlot(runs: readonly ShownRun[], layer: number | null): LinePlot {
  return {
    lastStep: Math.max(1, ...runs.map(({ run }) => run.header?.steps ?? 1)),
    least: 0,
    most: 0.1,
    lines: runs.map(({ run: { steps }, label, hue, dashed, faint }): Line => ({
      label,
      hue,
      form: "thin",
      dashed,
      faint,
      length: steps.length,
      x: (at) => steps[at].step,
      y: (at) => layerAt(steps[at].layers, layer)?.droppedShare ?? 0,
    })),
    marks: [],
    format: percent,
  };
}

export const createDroppedChart = () => createLineChart("Share of assignments dropped by step");
