// What capacity cost: assignments that were dropped, over steps, by place in the sequence and by choice.
import { figure, panel } from "./chart.ts";
import { binWidth, curve } from "./curves.ts";
import { endsFromZero, intervalChart } from "./interval_chart.ts";
import { linePanel } from "./line_chart.ts";
import { type Markup, markup } from "./markup.ts";
import { counted } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { mean } from "./statistics.ts";

function ofStep(row: FinishedRun["steps"][number]): number | null {
  return row.layers.length === 0 ? null : mean(row.layers.map(({ droppedShare }) => droppedShare));
}

/** Mean dropped share of choice `at` over steps and layers; null for a run without that choice. */
function ofChoice(run: FinishedRun, at: number): number | null {
  const shares = run.steps.flatMap(({ layers }) => layers.map((load) => load.droppedShareByChoice[at]))
    .filter(Number.isFinite);
  return shares.length === 0 ? null : mean(shares);
}

function choices({ runs }: Series): number {
  return Math.max(
    0,
    ...runs.flatMap(({ steps }) => (steps[0]?.layers ?? []).map((load) => load.droppedShareByChoice.length)),
  );
}

/** Dropped share over steps, by position, and by choice where there is more than one. */
export function droppedShares(series: readonly Series[]): Markup {
  const width = binWidth(Math.max(...series.map(({ header }) => header.steps)), 60);
  const positions = Math.max(
    0,
    ...series.flatMap(({ runs }) => runs.map(({ end }) => end.droppedShareByPosition.length)),
  );
  const window = binWidth(positions, 64);
  const axes = { y: "dropped share", percent: true, fromZero: true };
  const overSteps = series.map((each) => ({
    series: each,
    points: curve(
      each.runs.map(({ steps }) => steps.map((row) => ({ step: row.step, value: ofStep(row) }))),
      width,
    ),
  })).filter(({ points }) => points.length > 0);
  const byPosition = series.map((each) => ({
    series: each,
    points: curve(
      each.runs.map(({ end }) => end.droppedShareByPosition.map((value, step) => ({ step, value }))),
      window,
    ),
  })).filter(({ points }) => points.length > 0);
  const several = series.filter((each) => choices(each) > 1);
  const byChoice = Array.from(
    { length: Math.max(0, ...several.map(choices)) },
    (_, at) =>
      several.filter((each) => choices(each) > at).map((each) => ({
        series: each,
        values: each.runs.map((run) => ofChoice(run, at)).filter((share) => share !== null),
      })),
  );
  const choiceAxis = { name: "dropped share", percent: true, ends: endsFromZero(byChoice.flat()) };
  const panels = [
    linePanel("Over steps", "Dropped share over steps, a line a router", axes, overSteps),
    byPosition.length === 0 ? null : linePanel(
      "By position in the sequence",
      "Dropped share by position in the sequence, a line a router",
      { ...axes, x: "position" },
      byPosition,
    ),
    ...byChoice.map((values, at) =>
      panel(
        `Choice ${at + 1} of a token`,
        intervalChart(`Dropped share of choice ${at + 1} by router`, choiceAxis, values),
      )
    ),
  ];
  return figure(
    null,
    markup`Share of wanted assignments dropped because an expert was full, mean over layers. Over steps, each point is the mean of ${
      counted(width, "step")
    }; by position, of ${counted(window, "position")}, over all training. ${
      several.length > 0
        ? "By choice, only routers that number a token's choices past the first are shown: means over all steps and layers, rings are seeds."
        : "No router numbers a token's choices past the first, so nothing is shown by choice."
    } On lines, bands reach from the lowest to the highest seed.`,
    panels,
  );
}
