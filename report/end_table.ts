// What the last evaluation and the trained model tell beside the loss: load as in evaluation, the layers' share in the
// residual stream, causality as tested, and importance weights.
import { importanceOf } from "./importance.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { missing, plusMinus } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { estimate, mean } from "./statistics.ts";

/** Mean and interval over the runs that recorded something. */
function over(runs: readonly FinishedRun[], valueOf: (run: FinishedRun) => number | undefined): string {
  const values = runs.map(valueOf).filter((value) => value !== undefined);
  return values.length === 0 ? missing : plusMinus(estimate(values));
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

/** A row a series. */
export function endTable(series: readonly Series[]): Markup {
  return markup`${
    table(
      "The trained models",
      [
        "Router",
        "Dropped in evaluation",
        "Load CV in evaluation",
        "Share of residual stream",
        "Loss with training's assignment",
        "Causal, tested",
        "Largest importance weight",
        "Effective share of weights",
      ],
      series.map((each): Content[] => {
        const importance = importanceOf(each);
        return [
          each.name,
          over(each.runs, inEvaluation(({ droppedShare }) => droppedShare)),
          over(each.runs, inEvaluation(({ coefficientOfVariation }) => coefficientOfVariation)),
          over(each.runs, ({ end: { residualShare } }) =>
            residualShare && residualShare.length > 0 ? mean(residualShare) : undefined),
          over(each.runs, ({ end }) =>
            end.trainingAssignmentLoss),
          causal(each.runs),
          importance ? plusMinus(importance.largest) : missing,
          importance ? plusMinus(importance.effectiveShare) : missing,
        ];
      }),
    )
  }<p class="meta">Means over layers and seeds, ± half of the 95% interval. Share of residual stream: norm of what the layer adds over
the norm of the stream after it. Causal: a later token was changed, and earlier experts and losses compared. Effective share: (sum of
weights)² / (count × sum of squares), in the last quarter of training.</p>`;
}
