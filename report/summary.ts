// The numbers of the summary, worked out once for the page and the terminal. Load measures are taken from the last
// quarter of training, where a router's balance has settled; dropped work counts all of training.
import { secondsPerStep } from "./timings.ts";
import type { LayerLoad } from "../training/record.ts";
import type { Comparison } from "./comparison.ts";
import { type Cost, costOf, tokensPerStep } from "./cost.ts";
import { compactColumn, differenceColumn, fixedColumn, plusMinusColumn, ratioColumn } from "./columns.ts";
import { missing, percent } from "./numbers.ts";
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
  /** The table it stands in on a page. */
  readonly part: "loss" | "load";
  /** Left out where there is little room, as in a terminal. */
  readonly wide?: true;
  /** A cell a row; their decimals stand under each other. */
  cells(rows: readonly SummaryRow[]): string[];
}

function shares(values: readonly (number | null)[]): string[] {
  return values.map((value) => value === null ? missing : percent(value));
}

function lossColumns(baseline: string, rows: readonly SummaryRow[]): SummaryColumn[] {
  const score: SummaryColumn = {
    title: "Routing score",
    part: "loss",
    about: "0 = random routing, 1 = the best known; mean and 95% interval (Fieller), paired by seed",
    cells: (all) => ratioColumn(all.map((row) => row.score)),
  };
  const toBaseline: SummaryColumn = {
    title: `Loss − ${baseline}`,
    part: "loss",
    about: `difference in loss to ${baseline} in the same seed, mean and 95% interval; below 0 is better`,
    cells: (all) => differenceColumn(all.map((row) => row.difference)),
  };
  const flop: SummaryColumn = {
    title: "FLOP per token",
    part: "loss",
    wide: true,
    about:
      "floating-point operations of a token's forward pass, measured: mean over training, ± half of its 95% interval",
    cells: (all) => compactColumn(all.map(({ cost }) => cost?.flop ?? null)),
  };
  return [
    {
      title: "Validation loss",
      part: "loss",
      about:
        "mean over seeds of the final validation loss in nats per token, ± half of its 95% interval (Student's t)",
      cells: (all) => plusMinusColumn(all.map(({ loss }) => loss)),
    },
    ...(rows.some((row) => row.score !== null) ? [score] : []),
    ...(baseline === "" ? [] : [toBaseline]),
    {
      title: "Perplexity",
      part: "loss",
      about: "mean over seeds",
      cells: (all) => fixedColumn(all.map(({ perplexity }) => perplexity), 1),
    },
    {
      title: "Experts per token",
      part: "loss",
      about:
        "experts that a token went through in an MoE layer, measured: mean over training, ± half of its 95% interval",
      cells: (all) =>
        plusMinusColumn(
          all.map(({ cost }) => cost && cost.expertsByLayer.length > 0 ? cost.experts : null),
          2,
        ),
    },
    ...(rows.some(({ cost }) => cost?.flop) ? [flop] : []),
  ];
}

function loadColumns(rows: readonly SummaryRow[]): SummaryColumn[] {
  const local: SummaryColumn = {
    title: "Local",
    part: "load",
    about: "share of wanted assignments whose expert is on the token's own node",
    cells: (all) => shares(all.map(({ localShare }) => localShare)),
  };
  return [
    {
      title: "Dropped",
      part: "load",
      about: "share of planned expert work not done because of capacity, over all training",
      cells: (all) => shares(all.map(({ droppedShare }) => droppedShare)),
    },
    {
      title: "Load CV",
      part: "load",
      about: "standard deviation over mean of experts' wanted load; 0 is even",
      cells: (all) => fixedColumn(all.map(({ coefficientOfVariation }) => coefficientOfVariation), 2),
    },
    {
      title: "Max/mean",
      part: "load",
      about: "load of the most wanted expert over the mean; 1 is even",
      cells: (all) => fixedColumn(all.map(({ maxOverMean }) => maxOverMean), 2),
    },
    {
      title: "Dead",
      part: "load",
      wide: true,
      about: "experts that no token wanted, mean number a layer and step",
      cells: (all) => fixedColumn(all.map(({ deadExperts }) => deadExperts), 2),
    },
    ...(rows.some(({ localShare }) => localShare !== null) ? [local] : []),
    {
      title: "Tokens per s",
      part: "load",
      about: "training tokens a second at the median step",
      cells: (all) => compactColumn(all.map(({ tokensPerSecond }) => tokensPerSecond)),
    },
    {
      title: "ms per step",
      part: "load",
      about: "median step in milliseconds, mean over seeds",
      cells: milliseconds,
    },
  ];
}

function milliseconds(rows: readonly SummaryRow[]): string[] {
  const values = rows.map(({ secondsPerStep }) => secondsPerStep === null ? null : secondsPerStep * 1000);
  return fixedColumn(values, values.some((value) => value !== null && value < 100) ? 1 : 0);
}

/** Columns after the router's name; those about ranks, scores and FLOPs only where a row has something to say. */
export function summaryColumns(baseline: string, rows: readonly SummaryRow[]): SummaryColumn[] {
  return [...lossColumns(baseline, rows), ...loadColumns(rows)];
}
