// What the numbers allow to say, in plain sentences. A router is called better or worse only when the paired 95%
// interval of its difference excludes 0; everything else is said to be undecided.
import { counted, digitsFor, fixed, list, percent, range } from "./numbers.ts";
import type { Series } from "./series.ts";
import { finalLoss, type SummaryRow } from "./summary.ts";
import { estimate, pairedDifference } from "./statistics.ts";

type Verdict = "better" | "worse" | "undecided";

function verdict(row: SummaryRow): Verdict {
  const interval = row.difference?.interval;
  if (!interval || (interval.low <= 0 && interval.high >= 0)) return "undecided";
  return interval.high < 0 ? "better" : "worse";
}

/** `0.03 nats [0.01, 0.05]`: how far apart, whichever way. */
function apart({ difference }: SummaryRow): string {
  const { mean, interval } = difference!;
  const digits = digitsFor((interval!.high - interval!.low) / 2);
  return `${fixed(Math.abs(mean), digits)} nats ${range(difference!, mean < 0 ? -1 : 1)}`;
}

/** `gshard is better than switch by 0.03 nats [0.01, 0.05].`, or one sentence for several. */
function decided(rows: readonly SummaryRow[], how: Verdict, baseline: string): string[] {
  const such = rows.filter((row) => verdict(row) === how);
  if (such.length === 0) return [];
  const [{ series }] = such;
  if (such.length === 1) return [`${series.name} is ${how} than ${baseline} by ${apart(such[0])}.`];
  return [
    `${such.length} are ${how} than ${baseline}: ${
      list(such.map((row) => `${row.series.name} by ${apart(row)}`))
    }.`,
  ];
}

function names(rows: readonly SummaryRow[]): string[] {
  return rows.map(({ series }) => series.name);
}

function chance(rows: readonly SummaryRow[], first: SummaryRow): string[] {
  const decidedRows = rows.filter((row) => verdict(row) !== "undecided");
  if (rows.length < 2 || decidedRows.length === 0) return [];
  const wide = decidedRows.filter((row) => {
    const widened = pairedDifference(finalLoss(row.series), finalLoss(first.series), 1 - 0.05 / rows.length);
    return widened!.interval!.low > 0 || widened!.interval!.high < 0;
  });
  return [
    `With ${rows.length} comparisons, about ${
      fixed(0.05 * rows.length, 2)
    } intervals would exclude 0 by chance if all routers were equal. ` +
    (wide.length > 0
      ? `Widened for that (Bonferroni), ${
        wide.length > 1 && wide.length === decidedRows.length ? `all ${wide.length}` : list(names(wide))
      } still exclude${wide.length === 1 ? "s" : ""} 0.`
      : "Widened for that (Bonferroni), none of them excludes 0 any more."),
  ];
}

function comparison(rows: readonly SummaryRow[]): string[] {
  const [first, ...others] = rows;
  const baseline = first.series.name;
  if (others.length === 0) {
    return [`${baseline} is the only router with a finished run, so there is nothing to compare.`];
  }
  const known = others.filter((row) => row.difference?.interval);
  const unknown = others.filter((row) => !row.difference?.interval);
  const better = known.filter((row) => verdict(row) === "better");
  const worse = known.filter((row) => verdict(row) === "worse");
  const undecided = known.filter((row) => verdict(row) === "undecided");
  const said: string[] = [];
  if (known.length > 0) {
    if (better.length + worse.length === 0) {
      said.push(
        `No router is clearly better or worse than ${baseline}: every paired 95% interval includes 0.`,
      );
    } else {
      if (better.length === 0) said.push(`No router is clearly better than ${baseline}.`);
      said.push(...decided(known, "better", baseline), ...decided(known, "worse", baseline));
      if (undecided.length > 0) {
        said.push(
          `For ${list(names(undecided))} the paired 95% interval includes 0: undecided against ${baseline}.`,
        );
      }
    }
    said.push(...chance(known, first));
  }
  if (unknown.length > 0) {
    const why = rows.every(({ loss }) => loss.count === 1)
      ? "There is one seed a router"
      : `${list(names(unknown))} and ${baseline} share fewer than two finished seeds`;
    said.push(`${why}, so intervals cannot be given and no difference can be told from chance.`);
  }
  return said;
}

function unigram(rows: readonly SummaryRow[]): string {
  const perplexities = [...new Set(rows.map(({ series }) => series.header.data.unigramPerplexity))];
  const shown = list(perplexities.map((each) => `${fixed(each, 1)} (${fixed(Math.log(each), 3)} nats)`));
  const beats = rows.filter(({ series, loss }) =>
    (loss.interval?.high ?? loss.mean) < Math.log(series.header.data.unigramPerplexity)
  );
  const rest = rows.filter((row) => !beats.includes(row));
  const how = rows.every(({ loss }) => loss.interval)
    ? "with the whole 95% interval"
    : "in the seeds there are";
  const verdict = rest.length === 0
    ? (rows.length === 1 ? "The model beats it" : `All ${rows.length} models beat it`)
    : beats.length === 0
    ? "No model clearly beats it"
    : `${list(names(beats))} beat${beats.length === 1 ? "s" : ""} it, ${list(names(rest))} not clearly`;
  return `Guessing each token by its frequency alone (the unigram baseline) has perplexity ${shown}. ${verdict}${
    beats.length > 0 ? ` ${how}` : ""
  }.`;
}

function loads(rows: readonly SummaryRow[]): string {
  const dropping = rows.filter(({ droppedShare }) => droppedShare >= 0.0005);
  if (dropping.length === 0) return "No router dropped more than 0.05% of the experts' work.";
  const most = dropping.reduce((a, b) => (b.droppedShare > a.droppedShare ? b : a));
  return `${most.series.name} dropped the largest share of the experts' work, ${
    percent(most.droppedShare)
  } over all ` +
    `training${
      dropping.length < rows.length
        ? `; ${counted(rows.length - dropping.length, "router")} dropped nothing to speak of`
        : ""
    }.`;
}

/**
 * What routers that are not causal do to a language model's numbers, or null when all are causal. The one place that
 * says so: the page's summary and the terminal both show it.
 */
export function leakWarning(series: readonly Series[]): string | null {
  const leaking = series.filter(({ header }) => header.causal === false).map(({ name }) => name);
  if (leaking.length === 0) return null;
  const [are, their] = leaking.length > 1 ? ["are", "their"] : ["is", "its"];
  return `${
    list(leaking)
  } ${are} not causal: what a token gets may depend on tokens after it, which are what the ` +
    `model is to predict. So ${their} loss and perplexity may see the future, and say nothing about how well the ` +
    "model would continue a text.";
}

/** Sentences of the summary, in order; `all` includes series without a finished run. */
export function claims(all: readonly Series[], rows: readonly SummaryRow[]): string[] {
  const leftOut = all.flatMap((series) =>
    series.leftOut.map(({ header, reason }) => `Run ${header.run} ${reason} and is left out of all numbers.`)
  );
  if (rows.length === 0) return ["No run finished, so there are no results yet.", ...leftOut];
  const warning = leakWarning(rows.map(({ series }) => series));
  const lowest = rows.reduce((a, b) => (b.loss.mean < a.loss.mean ? b : a));
  const seeds = estimate(rows.map(({ loss }) => loss.count));
  const counts = rows.every(({ loss }) => loss.count === seeds.mean)
    ? counted(seeds.mean, "finished seed") + (rows.length > 1 ? " each" : "")
    : `${Math.min(...rows.map(({ loss }) => loss.count))} to ${
      Math.max(...rows.map(({ loss }) => loss.count))
    } seeds`;
  return [
    ...(warning === null ? [] : [warning]),
    ...comparison(rows),
    ...(rows.length > 1
      ? [
        `The lowest mean final validation loss is that of ${lowest.series.name}, ${
          fixed(lowest.loss.mean, 3)
        } nats per token ` +
        `(${counts}); being lowest is by itself no evidence of being better.`,
      ]
      : [`Its final validation loss is ${fixed(lowest.loss.mean, 3)} nats per token (${counts}).`]),
    unigram(rows),
    loads(rows),
    ...leftOut,
  ];
}
