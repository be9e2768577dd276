// The page of a scaling run: a curve of time and one of memory for each size, on axes of logarithms, with the fitted line.
import * as Plot from "@observablehq/plot";
import { chart, figure, panel } from "../../report/chart.ts";
import { type Markup, markup } from "../../report/markup.ts";
import { counted } from "../../report/numbers.ts";
import { page } from "../../report/page.ts";
import { seriesColor } from "../../report/palette.ts";
import type { Exponent } from "./fit.ts";
import { tableMarkup } from "../page.ts";
import type { ScalingResult } from "./schema.ts";
import { exponentText, scalingTables } from "./tables.ts";

type Curve = ScalingResult["curves"][number];

export function renderScaling(result: ScalingResult): string {
  const { machine, threads, date, command, curves } = result;
  return page(
    {
      title: "How time and memory grow",
      lead: `${machine}, ${counted(threads, "thread")}.`,
      meta: `${date} · ${command}`,
    },
    markup`<ul class="claims">${
      // A line through two points fits whatever they are.
      curves.filter(({ points }) => points.length > 2).map(({ name, time, memory }) =>
        markup`<li>With ${name}, time grows to the power ${exponentText(time)}, memory to ${
          exponentText(memory)
        }.</li>`
      )}</ul>`,
    [
      {
        id: "curves",
        title: "Curves",
        content: curves.filter(({ points }) => points.length > 1).map(curveFigure),
      },
      ...scalingTables(result).map((table) => ({
        id: table.title.toLowerCase().replaceAll(" ", "-") + "-table",
        title: table.title === "Curves" ? "Figures of the curves" : table.title,
        content: tableMarkup(table),
      })),
    ],
  );
}

function curveFigure(curve: Curve): Markup {
  const { name, about, points, time, memory, expected } = curve;
  const ranges = points.some(({ seconds: { least, most } }) => least < most);
  return figure(
    `${name[0].toUpperCase()}${name.slice(1)}`,
    markup`${about}. Dashed: the fitted power, ${exponentText(time)} for time (${
      String(expected)
    } when arithmetic alone decides) and ${exponentText(memory)} for memory.${
      ranges ? " Bars: least to most over rounds." : ""
    }`,
    [
      panel(
        "Time",
        curveChart(
          name,
          "milliseconds",
          points.map(({ value, seconds: { least, median, most } }) => ({
            value,
            y: median * 1e3,
            low: least * 1e3,
            high: most * 1e3,
          })),
          time,
          0,
        ),
      ),
      panel(
        "Memory at the peak",
        curveChart(
          name,
          "MiB",
          points.map(({ value, peakBytes }) => {
            const y = peakBytes / 2 ** 20;
            return { value, y, low: y, high: y };
          }),
          memory,
          6,
        ),
      ),
    ],
  );
}

interface Place {
  readonly value: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

function curveChart(
  name: string,
  unit: string,
  places: readonly Place[],
  exponent: Exponent | null,
  color: number,
): Markup {
  const stroke = seriesColor(color);
  return chart(`${unit} by ${name}`, {
    x: {
      type: "log",
      // With base 10 some powers of two would get no number.
      base: 2,
      label: `${name} →`,
      labelArrow: "none",
      labelAnchor: "right",
      ticks: places.map(({ value }) => value),
      tickFormat: "d",
    },
    y: { type: "log", label: `↑ ${unit}`, labelArrow: "none", ticks: 5, tickFormat: "~g", nice: true },
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 5 }),
      exponent
        ? Plot.lineY(fittedLine(places, exponent.value), {
          x: "value",
          y: "y",
          stroke: "var(--muted)",
          strokeDasharray: "5 3",
        })
        : null,
      Plot.ruleX(places, { x: "value", y1: "low", y2: "high", stroke, strokeWidth: 2 }),
      Plot.dot(places, {
        x: "value",
        y: "y",
        r: 4,
        fill: stroke,
        title: ({ value, y }: Place) => `${value}: ${y.toPrecision(3)} ${unit}`,
      }),
    ],
  });
}

/** The least-squares line passes through the mean of the logarithms. */
function fittedLine(places: readonly Place[], exponent: number) {
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + Math.log(value), 0) / values.length;
  const [x, y] = [mean(places.map(({ value }) => value)), mean(places.map(({ y }) => y))];
  return [places[0], places[places.length - 1]].map(({ value }) => ({
    value,
    y: Math.exp(y + exponent * (Math.log(value) - x)),
  }));
}
