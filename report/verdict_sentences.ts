// Verdicts of one task as sentences that read as well for 2 routers as for 18: a sentence a verdict, and one for each
// router that is ranked apart because it spends more.
import { areEqual, costOf, equalWithin } from "./cost.ts";
import { metrics } from "./judgement.ts";
import { amount, list, times } from "./numbers.ts";
import { turned } from "./statistics.ts";
import { isJudged, type Judged, type Judging, usableMargin, type Verdict } from "./verdicts.ts";
import { onTask } from "./worth_sentences.ts";

interface Told {
  readonly baseline: string;
  readonly unit: string;
  readonly margin: number | null;
}

/** ` by 0.030 nats [0.010, 0.050]`, whichever way. */
function by({ difference }: Judged, { unit }: Told): string {
  const size = difference.mean < 0 ? turned(difference) : difference;
  return ` by ${amount(size.mean, size, unit)}`;
}

function names(rows: readonly Judged[]): string {
  return list(rows.map(({ series }) => series.name));
}

function decided(rows: readonly Judged[], verdict: "better" | "worse", told: Told): string {
  if (rows.length === 1) return `${names(rows)} is ${verdict} than ${told.baseline}${by(rows[0], told)}.`;
  const strongest = rows.toSorted((a, b) => Math.abs(b.difference.mean) - Math.abs(a.difference.mean));
  return `${rows.length} routers are ${verdict} than ${told.baseline}: ${
    list(strongest.map((row) => row.series.name + by(row, told)))
  }.`;
}

function equal(rows: readonly Judged[], { baseline, unit, margin }: Told): string {
  const [are, lie] = rows.length > 1 ? ["are", "differences lie"] : ["is", "difference lies"];
  return `${names(rows)} ${are} as good as ${baseline}: the ${lie} within the margin of ${
    `${margin} ${unit}`.trimEnd()
  } (${list(rows.map(({ difference }) => amount(difference.mean, difference, unit)))}).`;
}

function undecided(rows: readonly Judged[], all: number, { baseline }: Told): string {
  return rows.length === all && all > 1
    ? `none of the ${all} other routers is shown to be better or worse than ${baseline}.`
    : `no difference to ${baseline} is shown for ${names(rows)}.`;
}

const atThatCost: Readonly<Record<Verdict, string>> = {
  better: "is better",
  worse: "is worse",
  "as good": "is as good",
  "no difference shown": "shows no difference",
};

function apart(row: Judged, told: Told): string {
  const { series, verdict, spending } = row;
  const how = verdict === "better" || verdict === "worse" ? by(row, told) : "";
  return `${series.name} spends ${
    times(spending!)
  } as much as ${told.baseline} and is ranked apart: at that cost it ${atThatCost[verdict]}${how}.`;
}

/** How the costs of routers that are not ranked apart compare, as measured; null when they were not. */
function costSentence(
  { comparison: { routers, baseline } }: Judging,
  rows: readonly Judged[],
): string | null {
  const known = rows.filter(({ spending, apart }) => spending !== null && !apart)
    .toSorted((a, b) => a.spending!.value - b.spending!.value);
  if (known.length === 0) return null;
  if (areEqual([baseline!, ...known.map(({ series }) => series)].map(costOf))) {
    const who = known.length + 1 === routers.length ? "all routers" : "the other routers";
    return `${who} spend equal FLOPs per token, measured (within ${equalWithin * 100}%).`;
  }
  const [least, most] = [known[0], known.at(-1)!];
  return "FLOPs per token are not equal: " +
    (least === most
      ? `measured, ${least.series.name} spends ${times(least.spending!)} what ${baseline!.name} spends.`
      : `measured, they range from ${times(least.spending!)} (${least.series.name}) to ${
        times(most.spending!)
      } (${most.series.name}) ` +
        `those of ${baseline!.name}.`);
}

/** Why a task gives no verdicts though they were wanted; null when it gives some. */
function noVerdict(
  { comparison: { routers, baseline, baselineName, all } }: Judging,
  rows: readonly Judged[],
) {
  if (routers.length === 0) return "no router has a finished run.";
  if (!baseline) return `${baselineName} has no finished run, so no router is compared with it.`;
  if (routers.length === 1) {
    const others = all.some(({ control, name }) => control === null && name !== baselineName);
    return `${baselineName} is the only router${
      others ? " with a finished run" : ""
    }, so there is nothing to compare.`;
  }
  return rows.length > 0
    ? null
    : `no difference to ${baselineName} can be told from chance: that takes two seeds that both finished.`;
}

/** Verdicts of a task. */
export function verdictSentences(judging: Judging, rows: readonly Judged[]): string[] {
  const { comparison, judgement } = judging;
  if (!isJudged(judging)) return [];
  const none = noVerdict(judging, rows);
  if (none) return [onTask(judging, none)];
  const { unit } = metrics[judgement.metric];
  const told = { baseline: comparison.baselineName, unit, margin: usableMargin(judging) };
  const peers = rows.filter((row) => !row.apart);
  const of = (verdict: Verdict) => peers.filter((row) => row.verdict === verdict);
  const sentences = [
    ...(["better", "worse"] as const).filter((verdict) => of(verdict).length > 0).map((verdict) =>
      decided(of(verdict), verdict, told)
    ),
    ...(of("as good").length > 0 ? [equal(of("as good"), told)] : []),
    ...(of("no difference shown").length > 0
      ? [undecided(of("no difference shown"), peers.length, told)]
      : []),
    ...rows.filter((row) => row.apart).map((row) => apart(row, told)),
  ];
  const cost = costSentence(judging, rows);
  return [...sentences, ...(cost ? [cost] : [])].map((sentence) => onTask(judging, sentence));
}
