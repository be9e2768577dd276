// Facts of a task that are no verdicts: whether models beat the plainest guess, and what routers dropped.
import type { RunHeader } from "../training/record.ts";
import { counted, fixed, list, percent } from "./numbers.ts";
import type { SummaryRow } from "./summary.ts";

/** Perplexity of guessing each token by its frequency; null for tasks without one. */
export function unigramOf({ data }: RunHeader): number | null {
  const found = data.references.find(({ name }) => name === "unigram");
  return found ? Math.exp(found.loss) : null;
}

function names(rows: readonly SummaryRow[]): string {
  return list(rows.map(({ series }) => series.name));
}

function unigram(all: readonly SummaryRow[]): string[] {
  const rows = all.filter(({ series }) => unigramOf(series.header) !== null);
  if (rows.length === 0) return [];
  const perplexities = [...new Set(rows.map(({ series }) => unigramOf(series.header)!))];
  const shown = list(perplexities.map((each) => `${fixed(each, 1)} (${fixed(Math.log(each), 3)} nats)`));
  const beats = rows.filter(({ series, loss }) =>
    (loss.interval?.high ?? loss.mean) < Math.log(unigramOf(series.header)!)
  );
  const rest = rows.filter((row) => !beats.includes(row));
  const how = rows.every(({ loss }) => loss.interval)
    ? "with the whole 95% interval"
    : "in the seeds there are";
  const verdict = rest.length === 0
    ? (rows.length === 1 ? "The model beats it" : `All ${rows.length} models beat it`)
    : beats.length === 0
    ? "No model clearly beats it"
    : `${names(beats)} beat${beats.length === 1 ? "s" : ""} it, ${names(rest)} not clearly`;
  return [
    `Guessing each token by its frequency alone (the unigram baseline) has perplexity ${shown}. ${verdict}${
      beats.length > 0 ? ` ${how}` : ""
    }.`,
  ];
}

function drops(rows: readonly SummaryRow[]): string[] {
  if (rows.length === 0) return [];
  const dropping = rows.filter(({ droppedShare }) => droppedShare >= 0.0005);
  if (dropping.length === 0) return ["No router dropped more than 0.05% of the experts' work."];
  const most = dropping.reduce((a, b) => (b.droppedShare > a.droppedShare ? b : a));
  const rest = rows.length - dropping.length;
  return [
    `${most.series.name} dropped the largest share of the experts' work, ${
      percent(most.droppedShare)
    } over all ` +
    `training${rest > 0 ? `; ${counted(rest, "router")} dropped nothing to speak of` : ""}.`,
  ];
}

/** Sentences under a task's summary table, about routers under study. */
export function facts(rows: readonly SummaryRow[]): string[] {
  const routers = rows.filter(({ series }) => series.control === null);
  return [...unigram(routers), ...drops(routers)];
}
