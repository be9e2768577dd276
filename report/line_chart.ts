// Lines over steps, one a series: the mean over seeds, and a band from the lowest to the highest seed.
import * as Plot from "@observablehq/plot";
import { chart } from "./chart.ts";
import type { CurvePoint } from "./curves.ts";
import { type Markup, markup } from "./markup.ts";
import { seriesColor, seriesDash } from "./palette.ts";
import type { Series } from "./series.ts";

export interface Line {
  readonly series: Series;
  readonly points: readonly CurvePoint[];
}

export interface Rule {
  readonly value: number;
  readonly text: string;
}

/** Chart of lines; `rules` are values to compare with, drawn across and named. */
export function lineChart(
  label: string,
  axes: { readonly x?: string; readonly y: string; readonly percent?: boolean; readonly fromZero?: boolean },
  lines: readonly Line[],
  rules: readonly Rule[] = [],
): Markup {
  if (lines.length === 0) return markup`<p>Nothing was recorded.</p>`;
  const banded = lines.filter(({ series }) => series.runs.length > 1);
  const last = Math.max(...lines.flatMap(({ points }) => points.map(({ step }) => step)));
  return chart(label, {
    x: { label: `${axes.x ?? "step"} →`, labelAnchor: "right", labelArrow: "none", nice: false, ticks: 6 },
    y: {
      label: `↑ ${axes.y}`,
      labelArrow: "none",
      nice: true,
      ticks: 6,
      zero: axes.fromZero === true,
      ...(axes.percent ? { tickFormat: "~%" } : {}),
    },
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 6 }),
      ...banded.map(({ series, points }) =>
        Plot.areaY(points, {
          x: "step",
          y1: "low",
          y2: "high",
          fill: seriesColor(series.index),
          fillOpacity: 0.16,
        })
      ),
      ...rules.flatMap(({ value, text }) => [
        Plot.ruleY([value], { stroke: "var(--muted)", strokeDasharray: "4 4" }),
        Plot.text([text], {
          x: last,
          y: value,
          text: (each: string) => each,
          textAnchor: "end",
          dy: -9,
          fill: "var(--muted)",
        }),
      ]),
      ...lines.map(({ series, points }) =>
        Plot.lineY(points, {
          x: "step",
          y: "mean",
          stroke: seriesColor(series.index),
          strokeWidth: 1.75,
          ...(seriesDash(series.index) ? { strokeDasharray: seriesDash(series.index)! } : {}),
        })
      ),
      // A line of one point would be invisible.
      ...lines.filter(({ points }) => points.length === 1).map(({ series, points }) =>
        Plot.dot(points, { x: "step", y: "mean", fill: seriesColor(series.index), r: 3 })
      ),
    ],
  });
}
