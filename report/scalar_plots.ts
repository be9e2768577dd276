// Whatever routers logged beside losses and loads, a panel a name.
import { figure } from "./chart.ts";
import { binWidth, curve } from "./curves.ts";
import { linePanel } from "./line_chart.ts";
import { type Markup, markup } from "./markup.ts";
import { counted } from "./numbers.ts";
import type { Series } from "./series.ts";

/** Names of scalars that any run logged, in order. */
export function scalarNames(series: readonly Series[]): string[] {
  return [
    ...new Set(
      series.flatMap(({ runs }) =>
        runs.flatMap(({ steps }) => steps.flatMap(({ scalars }) => Object.keys(scalars ?? {})))
      ),
    ),
  ].sort();
}

/** Logged scalars over steps. */
export function scalars(series: readonly Series[]): Markup {
  const width = binWidth(Math.max(...series.map(({ header }) => header.steps)), 60);
  const panels = scalarNames(series).map((name) => {
    const lines = series.map((each) => ({
      series: each,
      points: curve(
        each.runs.map(({ steps }) =>
          steps.map((row) => ({ step: row.step, value: row.scalars?.[name] ?? null }))
        ),
        width,
      ),
    })).filter(({ points }) => points.length > 0);
    return linePanel(name, `${name} over steps, a line a router`, { y: name }, lines);
  });
  return figure(
    null,
    markup`As routers logged them, each point the mean of ${
      counted(width, "step")
    }; bands reach from the lowest to the highest seed.`,
    panels,
  );
}
