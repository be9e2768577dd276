// Loss over steps and at the end. Differences are paired by seed, so that what a seed does to all routers cancels.
import { figure, panel } from "./chart.ts";
import { binWidth, curve, type Line, type Sample } from "./curves.ts";
import { intervalChart } from "./interval_chart.ts";
import { linePanel } from "./line_chart.ts";
import { type Markup, markup } from "./markup.ts";
import { unigramOf } from "./facts.ts";
import { fixed } from "./numbers.ts";
import { finalLoss, type FinishedRun, type Series } from "./series.ts";
import { differences } from "./statistics.ts";

const points = 60;

function training(run: FinishedRun): Sample[] {
  return run.steps.map(({ step, loss }) => ({ step, value: loss }));
}

function validation(run: FinishedRun): Sample[] {
  return run.evaluations.map(({ step, loss }) => ({ step, value: loss }));
}

/** Validation loss minus that of the run with the same seed in `baseline`, at steps where both have one. */
function apart(run: FinishedRun, baseline: Series): Sample[] {
  const other = baseline.runs.find(({ header }) => header.seed === run.header.seed);
  const losses = new Map(other?.evaluations.map(({ step, loss }) => [step, loss]));
  return run.evaluations.filter(({ step }) => losses.has(step)).map(({ step, loss }) => ({
    step,
    value: loss - losses.get(step)!,
  }));
}

function lines(series: readonly Series[], samples: (run: FinishedRun) => Sample[], width: number): Line[] {
  return series.map((each) => ({ series: each, points: curve(each.runs.map(samples), width) }))
    .filter((line) => line.points.length > 0);
}

function band(series: readonly Series[]): string {
  return series.some(({ runs }) => runs.length > 1)
    ? "Lines are means over seeds; bands reach from the lowest to the highest seed."
    : "One seed a router, so there are no bands.";
}

/** Whether a run's curve ends in its final loss; in older records it is over fewer tokens. */
function endsInFinalLoss({ evaluations, end }: FinishedRun): boolean {
  return evaluations.length === 0 ||
    evaluations.some(({ step, loss }) => step === end.step && loss === end.loss);
}

/** Training and validation loss over steps, and what each series is apart from the baseline by. */
export function lossCurves(series: readonly Series[], baseline: Series | null): Markup {
  const width = binWidth(Math.max(...series.map(({ header }) => header.steps)), points);
  const evaluations = Math.max(...series.flatMap(({ runs }) => runs.map((run) => run.evaluations.length)));
  // Evaluations are few; they are only thinned where there are more than points to draw.
  const thin = evaluations > points ? width : 1;
  const unigrams = [...new Set(series.flatMap(({ header }) => unigramOf(header) ?? []))].map((
    perplexity,
  ) => ({
    value: Math.log(perplexity),
    text: `unigram ${fixed(Math.log(perplexity), 2)}`,
  }));
  const whole = series.every(({ runs }) => runs.every(endsInFinalLoss));
  const shared = baseline === null ? [] : lines(
    series.filter((each) => each !== baseline && each.control === null).map((each) => ({
      ...each,
      runs: each.runs.filter((run) => apart(run, baseline).length > 0),
    })),
    (run) => apart(run, baseline),
    thin,
  );
  const panels = [
    linePanel(
      "Training loss",
      "Training loss over steps, a line a router",
      { y: "nats per token" },
      lines(series, training, width),
      unigrams,
    ),
    linePanel(
      whole ? "Validation loss" : "Validation loss on some of the tokens",
      "Validation loss over steps, a line a router",
      { y: "nats per token" },
      lines(series, validation, thin),
      whole ? unigrams : [],
    ),
  ];
  if (baseline !== null && shared.length > 0) {
    panels.push(linePanel(
      `Validation loss − ${baseline.name}'s, same seed`,
      `Validation loss minus that of ${baseline.name} in the same seed, over steps`,
      { y: "nats per token" },
      shared,
      [{ value: 0, text: baseline.name }],
    ));
  }
  return figure(
    "Loss over steps",
    markup`${
      width > 1
        ? `Training loss is smoothed: each point is the mean of ${width} consecutive steps.`
        : "Training loss is not smoothed."
    } ${
      thin > 1
        ? `Validation loss is averaged over windows of ${thin} steps.`
        : "Validation loss is not smoothed."
    } ${
      whole
        ? "Its points cover the tokens of the final loss."
        : "Its points cover fewer tokens than the final loss, so the two need not agree."
    } ${band(series)}${
      unigrams.length > 0
        ? " The dashed rule is the unigram baseline: each token guessed by its frequency alone."
        : ""
    }${shared.length > 0 ? " In the difference, below 0 is better." : ""}`,
    panels,
  );
}

/** Final validation loss by seed, and its paired difference to the baseline. */
export function finalLosses(series: readonly Series[], baseline: Series | null): Markup {
  const losses = series.map((each) => ({ series: each, values: [...finalLoss(each).values()] }));
  const apartBy = series.filter((each) => baseline !== null && each !== baseline && each.control === null)
    .map((each) => ({
      series: each,
      values: differences(finalLoss(each), finalLoss(baseline!)),
    }));
  const panels = [
    panel(
      "Final validation loss",
      intervalChart("Final validation loss by router", { name: "nats per token" }, losses),
    ),
  ];
  if (baseline !== null && apartBy.some(({ values }) => values.length > 0)) {
    panels.push(panel(
      `Difference to ${baseline.name}, same seed`,
      intervalChart(
        `Final validation loss minus that of ${baseline.name} in the same seed`,
        { name: "nats per token", rule: 0 },
        apartBy,
      ),
    ));
  }
  const some = losses.some(({ values }) => values.length > 1);
  return figure(
    "Final loss",
    some
      ? "Rings are seeds, the thick tick is their mean, and the bar is the 95% interval of the mean by Student's t. " +
        "Intervals on the left may overlap although routers differ, because seeds move all routers together; the right " +
        "takes that out. There, left of 0 is better. These intervals are not widened for the number of routers."
      : "Rings are seeds. With one seed a router, intervals cannot be given.",
    panels,
  );
}
