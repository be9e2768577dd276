// The summary for a terminal: the page's sentences and tables, without colours, so that they read the same in a log.
import Table from "cli-table3";
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { claims, judgings, type Reading } from "./claims.ts";
import { type SummaryColumn, summaryColumns, type SummaryRow, summaryRows } from "./summary.ts";

// A router's name may hold control characters; a terminal would obey them.
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, "�");
}

/** Two tables, as on the page: one of all columns would be wider than most terminals. */
function tablesOf(baseline: string, rows: readonly SummaryRow[]): string[] {
  const columns = summaryColumns(plain(baseline), rows).filter(({ wide }) => !wide);
  return [...Map.groupBy(columns, ({ part }) => part).values()].map((part) => tableOf(part, rows));
}

/** A table with names at the left and numbers at the right. */
export function textTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  side: "left" | "right" = "right",
): string {
  const table = new Table({
    head: titles.map(plain),
    colAligns: titles.map((_, at) => at === 0 ? "left" : side),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => row.map(plain)));
  return table.toString();
}

function tableOf(columns: readonly SummaryColumn[], rows: readonly SummaryRow[]): string {
  const cells = columns.map((column) => column.cells(rows));
  return textTable(
    ["Router", ...columns.map(({ title }) => title)],
    rows.map(({ series }, at) => [series.name, ...cells.map((column) => column[at])]),
  );
}

/**
 * Two tables a task with a line a router and control, then what the runs allow to say, and the runs left out.
 * @throws {RangeError} when there are no runs, two of one name share a seed or differ by more than it, a control comes twice,
 * or no router has the baseline's name.
 */
export function summaryTable(
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
  reading: Reading = {},
): string {
  const all = judgings(runs, timings, reading);
  const { warnings, worth, verdicts, leftOut } = claims(all, reading);
  const tables = all.filter(({ comparison }) => comparison.series.length > 0).flatMap((
    { comparison, worth },
  ) => [
    ...(all.length > 1 ? [plain(comparison.task?.name ?? "Without a task")] : []),
    ...tablesOf(comparison.baselineName, summaryRows(comparison, worth)),
  ]);
  return [...tables, ...[...warnings, ...worth, ...verdicts, ...leftOut].map(plain)].join("\n");
}
