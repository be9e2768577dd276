// What a report says, in order: what must be known before any number, what experts are worth, and verdicts by the
// experiment's own rule; none where the controls show that routers cannot be told apart.
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { type Comparison, comparisons } from "./comparison.ts";
import { importanceOf, leastEffectiveShare } from "./importance.ts";
import { type Judgement, metrics, usualJudgement } from "./judgement.ts";
import { amount, list } from "./numbers.ts";
import { ranked } from "./ranking.ts";
import type { Series } from "./series.ts";
import { isJudged, judge, type Judged, judgedRouters, type Judging, usableMargin } from "./verdicts.ts";
import { verdictSentences } from "./verdict_sentences.ts";
import { worthOf } from "./worth.ts";
import { onTask, worthSentence } from "./worth_sentences.ts";

/** How an experiment's runs are to be read. */
export interface Reading {
  /** How it is judged; by loss, without a margin, when left out. */
  readonly judgement?: Judgement | undefined;
  /** The router that others are compared with; `switch` where there is one, else the first, when left out. */
  readonly baseline?: string | undefined;
  /** True when the user left controls out. */
  readonly controlsLeftOut?: boolean | undefined;
  /** Runs without a record, a sentence each. */
  readonly notes?: readonly string[] | undefined;
  /** What else was done, to stand after the verdicts: how variants were tuned. */
  readonly remarks?: readonly string[] | undefined;
}

/** Sentences of a report, by where they stand. */
export interface Claims {
  /** What a reader must know before any number. */
  readonly warnings: readonly string[];
  /** What experts are worth, a sentence a task. */
  readonly worth: readonly string[];
  /** Verdicts, task by task, then how they were reached. */
  readonly verdicts: readonly string[];
  /** Runs left out of all numbers. */
  readonly leftOut: readonly string[];
}

/**
 * Comparisons as they are judged, one a task, routers in their ranked order.
 * @throws {RangeError} as `comparisons` does.
 */
export function judgings(
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
  { judgement = usualJudgement, baseline }: Reading,
): Judging[] {
  return comparisons(runs, timings, baseline).map((comparison) =>
    ranked({ comparison, judgement, worth: worthOf(comparison) })
  );
}

/** Whether a later token may change what an earlier one gets: by its traits, or as found in a trained model. */
function leaks({ header, runs }: Series): boolean {
  return header.causal === false || runs.some(({ end: { causal } }) => causal?.tested && !causal.holds);
}

/** What routers that are not causal do to a model's numbers, or null when all are causal. */
function leakWarning({ routers }: Comparison): string | null {
  const leaking = routers.filter(leaks).map(({ name }) => name);
  if (leaking.length === 0) return null;
  const [are, their] = leaking.length > 1 ? ["are", "their"] : ["is", "its"];
  return `${
    list(leaking)
  } ${are} not causal: what a token gets may depend on tokens after it, which are what the ` +
    `model is to predict. So ${their} loss and perplexity may see the future, and say nothing about how well the ` +
    "model would continue a text.";
}

function importanceWarnings({ comparison }: Judging): string[] {
  return comparison.routers.flatMap((series) => {
    const found = importanceOf(series);
    if (!found || found.effectiveShare.mean >= leastEffectiveShare) return [];
    const { effectiveShare: share, largest } = found;
    return [
      `the importance weights of ${series.name} are uneven: their effective share is ${
        amount(share.mean, share, "")
      } of that of equal weights, and the largest is ${
        amount(largest.mean, largest, "")
      }. Its gradient rests on few tokens.`,
    ];
  });
}

/** How verdicts were reached: the rule, and what widening means. */
function method(judged: readonly { judging: Judging; rows: readonly Judged[] }[]): string[] {
  const rows = judged.flatMap((each) => each.rows);
  if (rows.length === 0) return [];
  const alone = judged.flatMap(({ judging, rows }) =>
    rows.filter(({ verdict, aloneExcludes0 }) => verdict === "no difference shown" && aloneExcludes0).map((
      { series },
    ) => judging.comparison.task ? `${series.name} (${judging.comparison.task.name})` : series.name)
  );
  const strict = judged.filter(({ judging, rows }) =>
    rows.length > 0 && judging.judgement.margin !== null && usableMargin(judging) === null
  );
  return [
    ...strict.map(({ judging }) =>
      onTask(
        judging,
        "the margin is more than a tenth of what experts are worth, so no router is called “as good”.",
      )
    ),
    rows.length === 1
      ? "The interval of this one comparison is the paired 95% interval (Student's t)."
      : `Intervals of differences are paired by seed (Student's t) and widened for all ${rows.length} comparisons ` +
        "(Bonferroni): were all routers equal, even one “better” or “worse” would come up in at most 5% of such reports.",
    ...(alone.length > 0
      ? [`Not widened, the interval excludes 0 for ${list(alone)}; that is no verdict.`]
      : []),
  ];
}

/** The rule of an experiment in a sentence. */
export function ruleOf({ metric, direction, margin, claim }: Judgement): string {
  const { name, unit } = metrics[metric];
  return `Judged by ${name}, ${direction} is better, ${
    margin === null
      ? "with no margin for calling routers equal"
      : `equal within ${`${margin} ${unit}`.trimEnd()}`
  }: set before the runs. Tested: “${claim}”`;
}

/** Sentences over all tasks. */
export function claims(
  all: readonly Judging[],
  { controlsLeftOut = false, notes = [], remarks = [] }: Reading,
): Claims {
  const count = all.reduce((sum, judging) => sum + judgedRouters(judging).length, 0);
  const judged = all.map((judging) => ({ judging, rows: judge(judging, count) }));
  const started = all.filter(({ comparison }) => comparison.routers.length > 0);
  return {
    warnings: [...new Set(all.flatMap(({ comparison }) => leakWarning(comparison) ?? []))],
    worth: started.map((judging) => worthSentence(judging, controlsLeftOut)),
    verdicts: [
      ...(started.length === 0
        ? [
          all.some(({ comparison }) => comparison.controls.size > 0)
            ? "No router has a finished run, so controls stand alone and nothing is compared."
            : "No run finished, so there are no results yet.",
        ]
        : []),
      ...judged.filter(({ judging }) => started.includes(judging) && isJudged(judging)).flatMap((
        { judging, rows },
      ) => verdictSentences(judging, rows)),
      ...method(judged),
      ...remarks,
      ...all.flatMap((judging) => importanceWarnings(judging).map((sentence) => onTask(judging, sentence))),
    ],
    leftOut: [
      ...notes,
      ...all.flatMap(({ comparison }) =>
        comparison.all.flatMap((series) =>
          series.leftOut.map(({ header, reason }) =>
            `Run ${header.run} ${reason} and is left out of all numbers.`
          )
        )
      ),
    ],
  };
}
