// A row a series: a dot for every seed, the mean, and its 95% interval. With one seed there is only the dot.
import * as Plot from "@observablehq/plot";
import { chart, chartWidth } from "./chart.ts";
import { type Markup, markup } from "./markup.ts";
import { fixed, percent } from "./numbers.ts";
import { seriesColor } from "./palette.ts";
import type { Series } from "./series.ts";
import { estimate } from "./statistics.ts";

export interface Values {
  readonly series: Series;
  readonly values: readonly number[];
}

export interface IntervalAxis {
  readonly name: string;
  readonly percent?: boolean;
  readonly fromZero?: boolean;
  /** A value to compare with, drawn as a rule. */
  readonly rule?: number;
  /** Ends of the axis; the values' own when left out. */
  readonly ends?: readonly [number, number];
}

/** Room for names left of a chart, and names cut in the middle to fit it. */
export function nameAxis(series: readonly Series[]): { margin: number; text: (name: string) => string } {
  const longest = 22;
  const text = (name: string): string =>
    name.length <= longest ? name : `${name.slice(0, 12)}…${name.slice(-9)}`;
  const width = Math.max(0, ...series.map(({ name }) => text(name).length));
  return { margin: Math.min(chartWidth * 0.42, 18 + width * 8), text };
}

/** Height for a number of rows. */
export function rowsHeight(rows: number, each = 26): number {
  return 50 + rows * each;
}

/** The values' range and that of their intervals, from 0, over several charts that share an axis. */
export function endsFromZero(rows: readonly Values[]): [number, number] {
  const all = rows.filter(({ values }) => values.length > 0).flatMap(({ values }) => {
    const { interval, mean } = estimate(values);
    return [...values, interval?.low ?? mean, interval?.high ?? mean];
  });
  return [Math.min(0, ...all), Math.max(0, ...all) || 1];
}

/** Chart of estimates, one row a series. */
export function intervalChart(label: string, axis: IntervalAxis, rows: readonly Values[]): Markup {
  const shown = rows.filter(({ values }) => values.length > 0);
  if (shown.length === 0) return markup`<p>Nothing was recorded.</p>`;
  const { margin, text } = nameAxis(rows.map(({ series }) => series));
  const dots = shown.flatMap(({ series, values }) =>
    values.map((value) => ({ name: series.name, value, color: seriesColor(series.index) }))
  );
  const estimates = shown.flatMap(({ series, values }) => {
    const { mean, interval } = estimate(values);
    return interval ? [{ name: series.name, color: seriesColor(series.index), mean, ...interval }] : [];
  });
  return chart(label, {
    height: rowsHeight(rows.length),
    marginTop: 8,
    marginLeft: margin,
    marginRight: 24,
    x: {
      label: `${axis.name} →`,
      labelArrow: "none",
      labelAnchor: "right",
      ticks: 5,
      nice: true,
      zero: axis.fromZero === true,
      ...(axis.percent ? { tickFormat: "~%" } : {}),
      ...(axis.ends ? { domain: axis.ends } : {}),
    },
    y: {
      type: "band",
      domain: rows.map(({ series }) => series.name),
      label: null,
      tickFormat: text,
      tickSize: 0,
    },
    marks: [
      Plot.gridX({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 5 }),
      axis.rule === undefined
        ? null
        : Plot.ruleX([axis.rule], { stroke: "var(--muted)", strokeDasharray: "4 4" }),
      Plot.ruleY(estimates, { y: "name", x1: "low", x2: "high", stroke: "color", strokeWidth: 2 }),
      Plot.tickX(estimates, { y: "name", x: "low", stroke: "color", strokeWidth: 2, inset: 7 }),
      Plot.tickX(estimates, { y: "name", x: "high", stroke: "color", strokeWidth: 2, inset: 7 }),
      Plot.tickX(estimates, { y: "name", x: "mean", stroke: "color", strokeWidth: 3, inset: 3 }),
      Plot.dot(dots, {
        y: "name",
        x: "value",
        r: 3.5,
        stroke: "color",
        fill: "var(--surface)",
        strokeWidth: 1.5,
        title: ({ name, value }) => `${name}: ${axis.percent ? percent(value, 2) : fixed(value, 4)}`,
      }),
    ],
  });
}
