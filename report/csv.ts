// The table of all runs as CSV.
import { stringify } from "csv-stringify/sync";
import type { RecordTable } from "./record_table.ts";

/** A table as CSV with a header line. */
export function tableCsv({ columns, rows }: RecordTable): string {
  return stringify([...rows], {
    header: true,
    columns: Object.keys(columns),
    // A name that opens with "=" would run as a formula in a spreadsheet.
    escape_formulas: true,
  });
}
