// Right answers, where a task has classes: the share of held-out tokens that models answer right, how sure it is of one model
// (Wilson), and in which seeds a router's model and the baseline's differ on the same tokens (McNemar).
import type { Answers } from "../training/record.ts";
import { mcnemar, wilson } from "./counts.ts";
import { type Markup, markup, table } from "./markup.ts";
import { missing, percent } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { type Estimate, estimate, type Interval } from "./statistics.ts";
import { isJudged, type Judging } from "./verdicts.ts";

/** Tokens that one model answers right. */
export interface RightShare {
  readonly share: number;
  /** Wilson's 95% interval: how far it may be off on more tokens of the kind. */
  readonly interval: Interval;
}

/** Seeds in which two routers' models were compared, and how that came out. */
export interface Against {
  /** Seeds in which the model answers more tokens right than the baseline's, by McNemar's exact test. */
  readonly better: number;
  readonly worse: number;
  readonly of: number;
}

/** What is known of a series' answers. */
export interface AnswerRow {
  readonly series: Series;
  /** Share of right answers over seeds. */
  readonly share: Estimate;
  /** The model with the fewest and the one with the most right answers. */
  readonly fewest: RightShare;
  readonly most: RightShare;
  /** Null for the baseline, controls, and where nothing is ranked. */
  readonly against: Against | null;
}

function rightShare({ right, of }: Answers): RightShare {
  return { share: right / of, interval: wilson(right, of) };
}

function bytesOf({ bits }: Answers): Uint8Array {
  return Uint8Array.from(atob(bits), (letter) => letter.charCodeAt(0));
}

/**
 * How many tokens only the first model answers right, and how many only the second; null when they did not see equally many.
 * @throws {RangeError} when the bits of one are not as many as its tokens.
 */
export function discordant(first: Answers, second: Answers): readonly [number, number] | null {
  if (first.of !== second.of) return null;
  const [a, b] = [first, second].map(bytesOf);
  if (a.length !== Math.ceil(first.of / 8) || b.length !== a.length) {
    throw new RangeError(
      `Cannot compare answers: ${first.of} tokens take ${Math.ceil(first.of / 8)} bytes, and there are ` +
        `${a.length} and ${b.length}`,
    );
  }
  const ones = (of: (at: number) => number): number =>
    a.reduce((sum, _, at) => sum + of(at).toString(2).replaceAll("0", "").length, 0);
  return [ones((at) => a[at] & ~b[at]), ones((at) => b[at] & ~a[at])];
}

function against(series: Series, baseline: Series, alpha: number): Against | null {
  const answered = ({ runs }: Series) =>
    new Map(runs.flatMap(({ header, end }) => end.answers ? [[header.seed, end.answers] as const] : []));
  const its = answered(baseline);
  const splits = [...answered(series)].flatMap(([seed, own]) => {
    const other = its.get(seed);
    const split = other && discordant(own, other);
    return split ? [split] : [];
  });
  if (splits.length === 0) return null;
  const told = splits.filter(([own, other]) => mcnemar(own, other) < alpha);
  const better = told.filter(([own, other]) => own > other).length;
  return { better, worse: told.length - better, of: splits.length };
}

/** A row a series that has answers. */
export function answerRows(judging: Judging): AnswerRow[] {
  const { comparison: { series, routers, baseline } } = judging;
  const compared = baseline && isJudged(judging) ? routers.filter((each) => each !== baseline) : [];
  const tests = compared.reduce((sum, { runs }) => sum + runs.length, 0);
  return series.flatMap((each): AnswerRow[] => {
    const answers = each.runs.flatMap(({ end }: FinishedRun) => end.answers ?? []);
    if (answers.length === 0) return [];
    const sorted = answers.map(rightShare).sort((a, b) => a.share - b.share);
    return [{
      series: each,
      share: estimate(sorted.map(({ share }) => share)),
      fewest: sorted[0],
      most: sorted.at(-1)!,
      against: compared.includes(each) ? against(each, baseline!, 0.05 / tests) : null,
    }];
  });
}

function told({ share, interval }: RightShare): string {
  return `${percent(share)} [${percent(interval.low)}, ${percent(interval.high)}]`;
}

function seeds(row: AnswerRow, which: "better" | "worse"): string {
  return row.against ? `${row.against[which]} of ${row.against.of}` : missing;
}

/** The rows as a table, with a legend that defines its columns. */
export function answerTable(rows: readonly AnswerRow[], baseline: string): Markup {
  const ranked = rows.some((row) => row.against !== null);
  const half = ({ mean, interval }: Estimate) =>
    percent(mean) + (interval ? ` ± ${percent((interval.high - interval.low) / 2)}` : "");
  return markup`${
    table(
      "Held-out tokens answered right",
      [
        ...["Router", "Right, over seeds", "Model with fewest", "Model with most"],
        ...(ranked ? [`Better than ${baseline}`, `Worse than ${baseline}`] : []),
      ],
      rows.map((row) => [
        row.series.name,
        half(row.share),
        told(row.fewest),
        told(row.most),
        ...(ranked ? [seeds(row, "better"), seeds(row, "worse")] : []),
      ]),
    )
  }<p class="meta">A token is answered right when its class has the highest score. Over seeds: mean ± half of the 95% interval
(Student's t). Of one model: Wilson's 95% interval. ${
    ranked
      ? `Better and worse: seeds in which the router's model and ${baseline}'s differ on the same tokens by McNemar's exact test,
at 5% over all tests of this table. They tell trained models apart; the verdicts above are on routers. `
      : ""
  }Both take tokens as drawn one by one; neighbours in a text are not, so there intervals are too narrow.</p>`;
}
