// What the last evaluation and the trained model tell beside the loss: load as in evaluation, the layers' share in the
// residual stream, causality as tested, and importance weights.
import { importanceOf } from "./importance.ts";
import { plusMinusColumn } from "./columns.ts";
import { type Markup, markup, table } from "./markup.ts";
import { missing } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { estimate, mean } from "./statistics.ts";

/** A column of means and intervals over the runs that recorded something. */
function over(
  series: readonly Series[],
  valueOf: (run: FinishedRun) => number | undefined,
): string[] {
  return plusMinusColumn(series.map(({ runs }) => {
    const values = runs.map(valueOf).filter((value) => value !== undefined);
    return values.length === 0 ? null : estimate(values);
  }));
}

function inEvaluation(valueOf: (load: NonNullable<FinishedRun["end"]["layers"]>[number]) => number) {
  return ({ end: { layers } }: FinishedRun): number | undefined =>
    layers && layers.length > 0 ? mean(layers.map(valueOf)) : undefined;
}

function causal(runs: readonly FinishedRun[]): string {
  const tested = runs.flatMap(({ end }) => end.causal?.tested ? [end.causal.holds] : []);
  if (tested.length === 0) return missing;
  const held = tested.filter((holds) => holds).length;
  return held === tested.length
    ? `yes, in ${held} of ${held}`
    : `no, in ${tested.length - held} of ${tested.length}`;
}

/** Whether any run recorded what this table shows. */
export function hasEnd(series: readonly Series[]): boolean {
  return series.some((each) =>
    importanceOf(each) !== null ||
    each.runs.some(({ end }) =>
      end.layers || end.residualShare || end.causal || end.trainingAssignmentLoss !== undefined
    )
  );
}

/** A row a series; columns that nothing was recorded for are left out. */
export function endTable(series: readonly Series[]): Markup {
  const importance = series.map(importanceOf);
  const columns = ([
    ["Dropped in evaluation", over(series, inEvaluation(({ droppedShare }) => droppedShare))],
    ["Load CV in evaluation", over(series, inEvaluation((load) => load.coefficientOfVariation))],
    [
      "Share of residual stream",
      over(
        series,
        ({ end: { residualShare } }) =>
          residualShare && residualShare.length > 0 ? mean(residualShare) : undefined,
      ),
    ],
    ["Loss with training's assignment", over(series, ({ end }) => end.trainingAssignmentLoss)],
    ["Causal, tested", series.map(({ runs }) => causal(runs))],
    ["Largest importance weight", plusMinusColumn(importance.map((found) => found && found.largest))],
    ["Effective share of weights", plusMinusColumn(importance.map((found) => found && found.effectiveShare))],
  ] as const).filter(([, cells]) => cells.some((cell) => cell !== missing));
  return markup`${
    table(
      "The trained models",
      ["Router", ...columns.map(([title]) => title)],
      series.map(({ name }, at) => [name, ...columns.map(([, cells]) => cells[at])]),
    )
  }<p class="meta">Means over layers and seeds, ± half of the 95% interval. Share of residual stream: norm of what the layer adds over
the norm of the stream after it. Causal: a later token was changed, and earlier experts and losses compared. Effective share: (sum of
weights)² / (count × sum of squares), in the last quarter of training.</p>`;
}
