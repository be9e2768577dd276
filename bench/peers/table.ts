// Comparisons as tables: time of a call, how often ours fits into it, and whether that is what is asked for.
import Table from "cli-table3";
import { type Spread, spread } from "../rounds.ts";
import { type Bar, bars } from "./bars.ts";
import type { Comparison, Row } from "./compare.ts";

/** Cores an idle contender may keep busy before its neighbours' times are called into question. */
const QUIET_CORES = 0.05;

/** Times of a peer over times of ours, round by round; null when either has none. */
export function ratio(ours: Row | undefined, peer: Row | undefined): Spread | null {
  const rounds = Math.min(ours?.secondsOfCall.length ?? 0, peer?.secondsOfCall.length ?? 0);
  if (rounds === 0) return null;
  return spread(Array.from({ length: rounds }, (_, at) => peer!.secondsOfCall[at] / ours!.secondsOfCall[at]));
}

/** Whether a bar holds: in every round, in most, or not; or somebody was not timed. */
export type Verdict = "met" | "met by the median" | "not met" | "no time";

/** A bar with what was found, when both took part. */
export interface Judged extends Bar {
  readonly found: Spread | null;
  readonly verdict: Verdict;
}

function verdictOn(asked: number, found: Spread | null): Verdict {
  if (found === null) return "no time";
  if (found.least >= asked) return "met";
  return found.median >= asked ? "met by the median" : "not met";
}

/** Bars of the workloads that were compared. */
export function judge(comparisons: readonly Comparison[]): Judged[] {
  return bars.flatMap((bar) => {
    const rows = comparisons.find(({ workload }) => workload === bar.workload)?.rows;
    const row = (name: string) => rows?.find(({ contender }) => contender === name);
    if (!row(bar.ours) || !row(bar.peer)) return [];
    const found = ratio(row(bar.ours), row(bar.peer));
    return [{ ...bar, found, verdict: verdictOn(bar.least, found) }];
  });
}

function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** One round has no range. */
const range = ({ median, least, most }: Spread, unit = 1) =>
  least === most
    ? digits(median / unit)
    : `${digits(median / unit)} [${digits(least / unit)}, ${digits(most / unit)}]`;

const plain = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };
const style = { head: [], border: [] };

/** One workload: a row for each contender, and a column of ratios for each of ours that took part. */
export function tableOf({ workload, about, flop, rows }: Comparison): string {
  const ours = rows.filter((row) => row.ours && row.secondsOfCall.length > 0);
  const head = [
    "",
    "ms",
    ...(flop === null ? [] : ["GFLOP/s"]),
    ...ours.map(({ contender }) => `time / ${contender}`),
  ];
  const table = new Table({ head, chars: plain, style });
  for (const row of rows.filter(({ secondsOfCall }) => secondsOfCall.length > 0)) {
    const time = spread(row.secondsOfCall);
    table.push([
      row.contender,
      range(time, 1e-3),
      ...(flop === null ? [] : [digits(flop / time.median / 1e9)]),
      ...ours.map((one) => one === row ? "1" : range(ratio(one, row)!)),
    ]);
  }
  const notes = rows.flatMap(({ contender, note, cannot, idleCores }) => [
    ...(note === null ? [] : [`${contender}: ${note}`]),
    ...(cannot === null ? [] : [`${contender}: ${cannot}`]),
    ...(idleCores !== null && idleCores > QUIET_CORES
      ? [`${contender}: kept ${idleCores.toFixed(2)} cores busy while others were timed`]
      : []),
  ]);
  return [`\n${workload}: ${about}`, ...(table.length > 0 ? [table.toString()] : []), ...notes].join("\n");
}

/** A table in Markdown for each of ours: its times, and its peers' as ratios to them. A dash was not run. */
export function markdownOf(comparisons: readonly Comparison[]): string {
  const everybody = comparisons.flatMap(({ rows }) => rows);
  const names = (
    ours: boolean,
  ) => [...new Set(everybody.filter((row) => row.ours === ours).map(({ contender }) => contender))];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return names(true).map((name) => {
    const peers = names(false);
    const head = ["workload", `${name}, ms`, ...peers];
    const body = comparisons.flatMap(({ workload, rows }) => {
      const find = (name: string) => rows.find(({ contender }) => contender === name);
      const one = find(name);
      if (!one || one.secondsOfCall.length === 0) return [];
      const cells = peers.map((peer) => {
        const found = ratio(one, find(peer));
        return found ? range(found) : find(peer) ? "cannot" : "-";
      });
      return [line([workload, range(spread(one.secondsOfCall), 1e-3), ...cells])];
    });
    return [line(head), line(head.map(() => "---")), ...body].join("\n");
  }).join("\n\n");
}

/** Bars with their verdicts. */
export function barsTable(judged: readonly Judged[]): string {
  const table = new Table({ head: ["", "ours", "against", "asked", "found", ""], chars: plain, style });
  for (const { workload, ours, peer, least, found, verdict } of judged) {
    table.push([workload, ours, peer, `${least}x`, found ? range(found) : "-", verdict]);
  }
  return table.toString();
}
