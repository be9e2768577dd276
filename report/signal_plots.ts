// What training itself went by: router losses as they were added, the gradient's norm before clipping, the learning rate.
import type { StepRow } from "../training/record.ts";
import { figure } from "./chart.ts";
import { binWidth, curve, type Line } from "./curves.ts";
import { linePanel } from "./line_chart.ts";
import { type Markup, markup } from "./markup.ts";
import { counted, list } from "./numbers.ts";
import type { Series } from "./series.ts";

function lines(series: readonly Series[], width: number, valueOf: (row: StepRow) => number | null): Line[] {
  return series.map((each) => ({
    series: each,
    points: curve(
      each.runs.map(({ steps }) => steps.map((row) => ({ step: row.step, value: valueOf(row) }))),
      width,
    ),
  })).filter(({ points }) => points.length > 0);
}

/** Names of router losses that any run added, in order. */
function lossNames(series: readonly Series[]): string[] {
  return [
    ...new Set(
      series.flatMap(({ runs }) =>
        runs.flatMap(({ steps }) => steps.flatMap(({ losses }) => Object.keys(losses)))
      ),
    ),
  ].sort();
}

/** Lines that are one line once, under all their names. */
function distinct(all: readonly Line[]): Line[] {
  const groups = [...Map.groupBy(all, ({ points }) => JSON.stringify(points)).values()];
  return groups.map((group) => {
    const [first] = group;
    if (group.length === 1) return first;
    const name = groups.length === 1 ? "all" : list(group.map(({ series }) => series.name));
    return { ...first, series: { ...first.series, name } };
  });
}

/** Router losses, gradient norm and learning rate over steps. */
export function signals(series: readonly Series[]): Markup {
  const width = binWidth(Math.max(...series.map(({ header }) => header.steps)), 60);
  const names = lossNames(series);
  return figure(
    null,
    markup`${
      names.length > 0
        ? "Router losses are summed over layers and weighted, as they were added to the loss; routers without one are left out. "
        : "No router added a loss of its own. "
    }The norm is that of all gradients together, before clipping. Each point is the mean of ${
      counted(width, "step")
    }; bands reach from the lowest to the highest seed.`,
    [
      ...names.map((name) =>
        linePanel(
          `Router loss: ${name}`,
          `Router loss ${name} over steps, a line a router`,
          { y: "nats per token", fromZero: true },
          lines(series, width, ({ losses }) => losses[name] ?? null),
        )
      ),
      linePanel(
        "Gradient norm",
        "Gradient norm over steps, a line a router",
        { y: "norm", fromZero: true },
        lines(series, width, ({ gradientNorm }) => gradientNorm),
      ),
      linePanel(
        "Learning rate",
        "Learning rate over steps, a line a router",
        { y: "learning rate", fromZero: true },
        distinct(lines(series, width, ({ learningRate }) => learningRate)),
      ),
    ],
  );
}
