// The summary for a terminal: the page's table, without colours, so that it reads the same in a log.
import Table from "cli-table3";
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { leakWarning } from "./claims.ts";
import { finished, seriesOf } from "./series.ts";
import { summaryColumns, summaryRows } from "./summary.ts";

// A router's name may hold control characters; a terminal would obey them.
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, "�");
}

/**
 * One line a router, then the runs left out.
 * @throws {RangeError} when there are no runs, or two of one name that share a seed or differ by more than it.
 */
export function summaryTable(runs: readonly RunRecord[], timings: readonly TimingRecord[]): string {
  const all = seriesOf(runs, timings);
  const rows = summaryRows(finished(all));
  const lines: string[] = [];
  if (rows.length > 0) {
    const columns = summaryColumns(plain(rows[0].series.name), rows).filter(({ wide }) => !wide);
    const table = new Table({
      head: ["Router", ...columns.map(({ title }) => title)],
      colAligns: ["left", ...columns.map(() => "right" as const)],
      style: { head: [], border: [], compact: true },
    });
    table.push(...rows.map((row) => [plain(row.series.name), ...columns.map((column) => column.cell(row))]));
    lines.push(table.toString());
    const warning = leakWarning(rows.map(({ series }) => series));
    if (warning) lines.push(plain(warning));
  }
  for (const { leftOut } of all) {
    for (const { header, reason } of leftOut) {
      lines.push(`Run ${plain(header.run)} ${reason} and is left out.`);
    }
  }
  return lines.join("\n");
}
