// The table of all runs as Parquet, for pandas, Polars and DuckDB: columns keep their types, and whatever a row lacks is
// null. The package is loaded when there is something to write.
import type { ColumnKind, RecordTable } from "./record_table.ts";

const types = { text: "STRING", whole: "INT64", number: "DOUBLE" } as const;

function stored(
  value: string | number | null | undefined,
  kind: ColumnKind,
): string | number | bigint | null {
  if (value === null || value === undefined) return null;
  return kind === "whole" ? BigInt(value) : value;
}

/** A table as a Parquet file, compressed with Snappy. */
export async function tableParquet({ columns, rows }: RecordTable): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import("hyparquet-writer");
  const columnData = Object.entries(columns).map(([name, kind]) => ({
    name,
    type: types[kind],
    nullable: true,
    data: rows.map((row) => stored(row[name], kind)),
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData }));
}
