// The summary as plain data, for scripts: the numbers that tables show, unrounded, and the sentences.
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { answerRows } from "./answers.ts";
import { type Claims, claims, judgings, type Reading } from "./claims.ts";
import type { Estimate, Interval } from "./statistics.ts";
import { type SummaryRow, summaryRows } from "./summary.ts";
import { judge, judgedRouters, type Verdict } from "./verdicts.ts";

/** A mean over seeds with its 95% interval; null where one seed gives none. */
export interface Number95 {
  readonly mean: number;
  readonly interval: Interval | null;
}

/** One router or control. */
export interface SummaryDatum {
  readonly name: string;
  /** The control that it is; null for a router under study. */
  readonly control: string | null;
  readonly seeds: readonly number[];
  /** Final validation loss, nats per token. */
  readonly loss: Number95;
  readonly perplexity: number;
  /** Loss minus the baseline's in the same seed. */
  readonly difference: Number95 | null;
  /** Share of held-out tokens answered right, where targets are classes. */
  readonly rightShare: Number95 | null;
  /** 0 = random routing, 1 = the best known. */
  readonly score: Number95 | null;
  /** Against the baseline, widened for all comparisons; null for the baseline, controls and what is not judged. */
  readonly verdict: Verdict | null;
  readonly droppedShare: number;
  readonly loadCoefficientOfVariation: number | null;
  readonly loadMaxOverMean: number | null;
  readonly deadExperts: number | null;
  readonly localShare: number | null;
  readonly expertsPerToken: Number95 | null;
  /** Of a token's forward pass. */
  readonly flopPerToken: Number95 | null;
  readonly secondsPerStep: number | null;
}

/** Everything that `deno task compare --json` prints. */
export interface SummaryData {
  readonly comparisons: readonly {
    readonly task: string | null;
    readonly baseline: string;
    /** Whether controls show that routers can be told apart. */
    readonly canTell: boolean;
    readonly rows: readonly SummaryDatum[];
  }[];
  readonly claims: Claims;
}

function number(estimate: Estimate | null): Number95 | null {
  return estimate && { mean: estimate.mean, interval: estimate.interval };
}

function datumOf(row: SummaryRow, verdict: Verdict | null, rightShare: Estimate | null): SummaryDatum {
  const { series, loss, score, cost } = row;
  return {
    name: series.name,
    control: series.control,
    seeds: series.runs.map(({ header }) => header.seed),
    loss: number(loss)!,
    perplexity: row.perplexity,
    difference: number(row.difference),
    rightShare: number(rightShare),
    score: score && { mean: score.value, interval: score.interval },
    verdict,
    droppedShare: row.droppedShare,
    loadCoefficientOfVariation: row.coefficientOfVariation,
    loadMaxOverMean: row.maxOverMean,
    deadExperts: row.deadExperts,
    localShare: row.localShare,
    expertsPerToken: cost && cost.expertsByLayer.length > 0 ? number(cost.experts) : null,
    flopPerToken: number(cost?.flop ?? null),
    secondsPerStep: row.secondsPerStep,
  };
}

/** @throws {RangeError} as `judgings` does. */
export function summaryData(
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
  reading: Reading = {},
): SummaryData {
  const all = judgings(runs, timings, reading);
  const count = all.reduce((sum, judging) => sum + judgedRouters(judging).length, 0);
  return {
    comparisons: all.map((judging) => {
      const { comparison, worth } = judging;
      const verdicts = new Map(judge(judging, count).map(({ series, verdict }) => [series, verdict]));
      const shares = new Map(answerRows(judging).map(({ series, share }) => [series, share]));
      return {
        task: comparison.task?.name ?? null,
        baseline: comparison.baselineName,
        canTell: worth.canTell,
        rows: summaryRows(comparison, worth).map((row) =>
          datumOf(row, verdicts.get(row.series) ?? null, shares.get(row.series) ?? null)
        ),
      };
    }),
    claims: claims(all, reading),
  };
}
