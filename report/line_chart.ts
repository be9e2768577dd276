// Lines over steps, one a series: the mean over seeds, and a band from the lowest to the highest seed. Few lines share a
// chart and have their names at their ends; many get a small chart each, all with the same axes, before a grey band
// that reaches over them all.
import * as Plot from "@observablehq/plot";
import { asked, chart, chartWidth, type Panel, panel } from "./chart.ts";
import type { Line } from "./curves.ts";
import { endLabels, labelWidth } from "./end_labels.ts";
import { type Markup, markup } from "./markup.ts";
import { fixed, list, percent } from "./numbers.ts";
import { seriesColor, seriesDash } from "./palette.ts";
import { sample } from "./sample.ts";

export interface Rule {
  readonly value: number;
  readonly text: string;
}

export interface LineAxes {
  readonly x?: string;
  readonly y: string;
  readonly percent?: boolean;
  readonly fromZero?: boolean;
}

/** Lines that one chart holds; more get a small chart each. */
export const mostLines = 8;
/** Width that small charts are drawn for, in CSS pixels. */
const smallWidth = 200;

function ruleMarks({ value, text }: Rule, at: number): Plot.Markish[] {
  return [
    Plot.ruleY([value], { stroke: "var(--muted)", strokeDasharray: "4 4" }),
    Plot.text([text], {
      x: at,
      y: value,
      text: (each: string) => each,
      textAnchor: "end",
      dy: -9,
      fill: "var(--muted)",
    }),
  ];
}

function lineMarks({ series, points }: Line): Plot.Markish[] {
  const color = seriesColor(series.index);
  const dash = seriesDash(series.index);
  return [
    Plot.lineY(points, {
      x: "step",
      y: "mean",
      stroke: color,
      strokeWidth: 1.75,
      ariaLabel: () => `${asked}${series.name}`,
      ...(dash ? { strokeDasharray: dash } : {}),
    }),
    // A line of one point would be invisible.
    ...(points.length === 1 ? [Plot.dot(points, { x: "step", y: "mean", fill: color, r: 3 })] : []),
  ];
}

function bandMark({ series, points }: Line): Plot.Markish {
  const fill = seriesColor(series.index);
  return Plot.areaY(points, { x: "step", y1: "low", y2: "high", fill, fillOpacity: 0.16 });
}

/** Ticks as they fit beside a chart: shares in percent, and small values as `5e-4`. */
function tickFormat(
  { percent }: LineAxes,
  most: number,
): { tickFormat?: string | ((value: number) => string) } {
  if (percent) return { tickFormat: "~%" };
  if (most >= 0.01) return {};
  return { tickFormat: (value) => value === 0 ? "0" : value.toExponential().replace("-", "−") };
}

function yAxis(axes: LineAxes, lines: readonly Line[], ticks: number) {
  const most = Math.max(...lines.flatMap(({ points }) => points.flatMap(({ low, high }) => [-low, high])));
  return {
    labelArrow: "none",
    nice: true,
    ticks,
    zero: axes.fromZero === true,
    ...tickFormat(axes, most),
  } as const;
}

/** All lines in one chart; `rules` are values to compare with, drawn across and named. */
function together(label: string, axes: LineAxes, lines: readonly Line[], rules: readonly Rule[]): Markup {
  const last = Math.max(...lines.flatMap(({ points }) => points.map(({ step }) => step)));
  return chart(label, {
    x: { label: `${axes.x ?? "step"} →`, labelAnchor: "right", labelArrow: "none", nice: false, ticks: 5 },
    y: { ...yAxis(axes, lines, 6), label: `↑ ${axes.y}` },
    marginLeft: 62,
    marginRight: Math.min(chartWidth * 0.36, labelWidth(lines)),
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 6 }),
      ...lines.filter(({ series }) => series.runs.length > 1).map(bandMark),
      ...rules.flatMap((rule) => ruleMarks(rule, last)),
      ...lines.flatMap(lineMarks),
      endLabels(lines),
    ],
  });
}

/** From the lowest to the highest line, at steps that most of them have. */
function reach(lines: readonly Line[]): { step: number; low: number; high: number }[] {
  const points = lines.flatMap(({ points }) => points);
  const shared = [...Map.groupBy(points, ({ step }) => step)].filter(([, at]) =>
    at.length > lines.length / 2
  );
  return shared.sort(([a], [b]) => a - b).map(([step, at]) => ({
    step,
    low: Math.min(...at.map(({ mean }) => mean)),
    high: Math.max(...at.map(({ mean }) => mean)),
  }));
}

function endsOf(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** Whether a line and its band move by less than a hundredth of the axis. */
function isFlat({ points }: Line, [lowest, highest]: readonly [number, number]): boolean {
  const [low, high] = endsOf(points.flatMap(({ low, high }) => [low, high]));
  return high - low <= (highest - lowest) / 100;
}

/** Names of flat lines and where they lie, those at one value together. */
function flatSentence(lines: readonly Line[], { percent: isShare }: LineAxes): string {
  const at = ({ points }: Line): string => {
    const value = points.reduce((sum, { mean }) => sum + mean, 0) / points.length;
    return isShare ? percent(value) : fixed(value, 2);
  };
  return `Flat, and so not drawn: ${
    [...Map.groupBy(lines, at)].map(([value, of]) =>
      `${value} in ${list(of.map(({ series }) => series.name))}`
    )
      .join("; ")
  }.`;
}

/** A small chart a line, with the same axes; lines that do not move are named instead. */
function apart(label: string, axes: LineAxes, lines: readonly Line[], rules: readonly Rule[]): Markup {
  const points = lines.flatMap(({ points }) => points);
  const values = [...points.flatMap(({ low, high }) => [low, high]), ...rules.map(({ value }) => value)];
  const [lowest, highest] = endsOf(axes.fromZero ? [0, ...values] : values);
  const across = endsOf(points.map(({ step }) => step));
  const flat = lines.filter((line) => isFlat(line, [lowest, highest]));
  const drawn = lines.filter((line) => !flat.includes(line));
  const all = drawn.length > 0 ? reach(lines) : [];
  const small = (line: Line): Markup =>
    chart(`${label.replace(", a line a router", "")}: ${line.series.name}`, {
      width: smallWidth,
      height: 112,
      marginLeft: 44,
      marginRight: 10,
      marginTop: 8,
      marginBottom: 22,
      x: { label: null, domain: across, ticks: 3 },
      y: {
        ...yAxis(axes, lines, 4),
        label: null,
        domain: [lowest, highest === lowest ? lowest + 1 : highest],
      },
      marks: [
        Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 4 }),
        Plot.areaY(all, { x: "step", y1: "low", y2: "high", fill: "var(--muted)", fillOpacity: 0.18 }),
        ...rules.map(({ value }) => Plot.ruleY([value], { stroke: "var(--muted)", strokeDasharray: "4 4" })),
        ...(line.series.runs.length > 1 ? [bandMark(line)] : []),
        ...lineMarks(line),
      ],
    });
  const flats = flat.length > 0 ? markup`<p class="meta">${flatSentence(flat, axes)}</p>` : null;
  if (drawn.length === 0) return markup`<p class="meta">${axes.y}</p>${flats}`;
  return markup`<p class="meta">↑ ${axes.y}, ${axes.x ?? "step"} →${
    all.length > 1 ? "; grey: from the lowest to the highest of them all" : ""
  }${rules.length > 0 ? `; dashed: ${rules.map(({ text }) => text).join(", ")}` : ""}</p>${flats}
<div class="small-multiples">${
    drawn.map((line) =>
      markup`<div class="panel"><p class="name">${sample(line.series)}${line.series.name}</p>${
        small(line)
      }</div>`
    )
  }</div>`;
}

/** A panel of lines: one chart with names at its lines, or a small chart each where there are many. */
export function linePanel(
  title: string,
  label: string,
  axes: LineAxes,
  lines: readonly Line[],
  rules: readonly Rule[] = [],
): Panel {
  if (lines.length === 0) return panel(title, markup`<p>Nothing was recorded.</p>`);
  const wide = lines.length > mostLines;
  return panel(title, (wide ? apart : together)(label, axes, lines, rules), wide);
}
