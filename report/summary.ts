// The numbers of the summary, worked out once for the page and the terminal. Load measures are taken from the last
// quarter of training, where a router's balance has settled; dropped work counts all of training.
import { secondsPerStep } from "./timings.ts";
import type { LayerLoad } from "../training/record.ts";
import type { Comparison } from "./comparison.ts";
import { type Cost, costOf, tokensPerStep } from "./cost.ts";
import {
  compact,
  compactPlusMinus,
  difference,
  expertsText,
  fixed,
  missing,
  percent,
  plusMinus,
  ratio,
} from "./numbers.ts";
import type { Ratio } from "./ratio.ts";
import { scores } from "./score.ts";
import { finalLoss, type FinishedRun, type Series } from "./series.ts";
import { type Estimate, estimate, mean, pairedDifference } from "./statistics.ts";
import type { Worth } from "./worth.ts";

export interface SummaryRow {
  readonly series: Series;
  /** Final validation loss over seeds, nats per token. */
  readonly loss: Estimate;
  readonly perplexity: number;
  /** Loss minus the baseline's in the same seed; null for the baseline, or when they share no seed. */
  readonly difference: Estimate | null;
  /** Routing score; null for random routing and the best, and where routers cannot be told apart. */
  readonly score: Ratio | null;
  readonly cost: Cost | null;
  readonly droppedShare: number;
  readonly coefficientOfVariation: number | null;
  readonly maxOverMean: number | null;
  readonly deadExperts: number | null;
  /** Share of wanted assignments on the token's own node; null for runs on one rank. */
  readonly localShare: number | null;
  readonly secondsPerStep: number | null;
  readonly tokensPerSecond: number | null;
}

function late(run: FinishedRun, valueOf: (load: LayerLoad) => number): number[] {
  const rows = run.steps.slice(Math.floor(run.steps.length * 3 / 4));
  return rows.flatMap((row) => row.layers.map(valueOf)).filter(Number.isFinite);
}

function lateMean(series: Series, valueOf: (load: LayerLoad) => number): number | null {
  const values = series.runs.map((run) => late(run, valueOf)).filter(({ length }) => length > 0);
  return values.length === 0 ? null : mean(values.map(mean));
}

/** One row a series with a finished run. */
export function summaryRows(comparison: Comparison, worth: Worth): SummaryRow[] {
  const { baseline } = comparison;
  const scored = new Map(scores(comparison, worth).map(({ series, score }) => [series, score]));
  return comparison.series.map((series): SummaryRow => {
    const seconds = secondsPerStep(series);
    const tokens = tokensPerStep(series.header);
    return {
      series,
      loss: estimate([...finalLoss(series).values()]),
      perplexity: mean(series.runs.map(({ end }) => end.perplexity)),
      difference: !baseline || series === baseline
        ? null
        : pairedDifference(finalLoss(series), finalLoss(baseline)),
      score: scored.get(series) ?? null,
      cost: costOf(series),
      droppedShare: mean(series.runs.map(({ end }) => 1 - end.keptShare)),
      coefficientOfVariation: lateMean(series, (load) => load.coefficientOfVariation),
      maxOverMean: lateMean(series, (load) => load.maxOverMean),
      deadExperts: lateMean(series, (load) => load.deadExperts),
      localShare: lateMean(series, (load) => load.localShare ?? NaN),
      secondsPerStep: seconds,
      tokensPerSecond: seconds && tokens ? tokens / seconds : null,
    };
  });
}

/** A column of the summary. */
export interface SummaryColumn {
  readonly title: string;
  readonly about: string;
  /** Left out where there is little room, as in a terminal. */
  readonly wide?: true;
  cell(row: SummaryRow): string;
}

function shown<Value>(value: Value | null, text: (value: Value) => string): string {
  return value === null ? missing : text(value);
}

/** Columns after the router's name; those about ranks, scores and FLOPs only where a row has something to say. */
export function summaryColumns(baseline: string, rows: readonly SummaryRow[]): SummaryColumn[] {
  const local: SummaryColumn = {
    title: "Local",
    about: "share of wanted assignments whose expert is on the token's own node",
    cell: (row) => shown(row.localShare, percent),
  };
  const toBaseline: SummaryColumn = {
    title: `Loss − ${baseline}`,
    about: `difference in loss to ${baseline} in the same seed, mean and 95% interval; below 0 is better`,
    cell: (row) => row.difference ? difference(row.difference) : missing,
  };
  const score: SummaryColumn = {
    title: "Routing score",
    about: "0 = random routing, 1 = the best known; mean and 95% interval (Fieller), paired by seed",
    cell: (row) => shown(row.score, ratio),
  };
  const flop: SummaryColumn = {
    title: "FLOP per token",
    wide: true,
    about:
      "floating-point operations of a token's forward pass, measured: mean over training, ± half of its 95% interval",
    cell: (row) => shown(row.cost?.flop ?? null, compactPlusMinus),
  };
  return [
    {
      title: "Validation loss",
      about:
        "mean over seeds of the final validation loss in nats per token, ± half of its 95% interval (Student's t)",
      cell: ({ loss }) => plusMinus(loss),
    },
    ...(rows.some((row) => row.score !== null) ? [score] : []),
    { title: "Perplexity", about: "mean over seeds", cell: ({ perplexity }) => fixed(perplexity, 1) },
    ...(baseline === "" ? [] : [toBaseline]),
    {
      title: "Dropped",
      about: "share of planned expert work not done because of capacity, over all training",
      cell: ({ droppedShare }) => percent(droppedShare),
    },
    {
      title: "Load CV",
      about: "standard deviation over mean of experts' wanted load; 0 is even",
      cell: (row) => shown(row.coefficientOfVariation, (value) => fixed(value, 2)),
    },
    {
      title: "Max/mean",
      about: "load of the most wanted expert over the mean; 1 is even",
      cell: (row) => shown(row.maxOverMean, (value) => fixed(value, 2)),
    },
    {
      title: "Dead",
      wide: true,
      about: "experts that no token wanted, mean number a layer and step",
      cell: (row) => shown(row.deadExperts, (value) => fixed(value, 2)),
    },
    ...(rows.some(({ localShare }) => localShare !== null) ? [local] : []),
    {
      title: "Experts per token",
      about:
        "experts that a token went through in an MoE layer, measured: mean over training, ± half of its 95% interval",
      cell: ({ cost }) => cost && cost.expertsByLayer.length > 0 ? expertsText(cost.experts) : missing,
    },
    ...(rows.some(({ cost }) => cost?.flop) ? [flop] : []),
    {
      title: "Tokens per s",
      about: "training tokens a second at the median step",
      cell: (row) => shown(row.tokensPerSecond, compact),
    },
    {
      title: "ms per step",
      about: "median step in milliseconds, mean over seeds",
      cell: (row) => shown(row.secondsPerStep, (value) => fixed(value * 1000, value < 0.1 ? 1 : 0)),
    },
  ];
}
