// records.csv and records.parquet of one command, held against each other: every row and column.
import { assert, assertEquals } from "@std/assert";
import { parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";

/** Cells of CSV, quotes resolved. */
function cellsOf(line: string): string[] {
  const cells = line.match(/(?<=^|,)("(?:[^"]|"")*"|[^,"]*)(?=,|$)/g)!;
  return cells.map((cell) => cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
}

/** A CSV cell as its column's type reads it; text that a spreadsheet would compute with bears an apostrophe. */
function valueOf(cell: string, type: string): string | number | bigint | null {
  if (cell === "") return null;
  if (type === "INT64") return BigInt(cell);
  return type === "DOUBLE" ? Number(cell) : cell.replace(/^'(?=[=+\-@])/, "");
}

/** Checks that both tables hold the same, and returns Parquet's rows. */
export async function checkTables(csv: string, parquet: Uint8Array): Promise<Record<string, unknown>[]> {
  const file = Uint8Array.from(parquet).buffer;
  const { children } = parquetSchema(parquetMetadata(file));
  const types = children.map(({ element }) => element.type!);
  assert(children.every(({ element }) => element.repetition_type === "OPTIONAL"));
  const [titles, ...lines] = csv.trimEnd().split("\n").map(cellsOf);
  assertEquals(children.map(({ element }) => element.name), titles);
  const rows = await parquetReadObjects({ file });
  assertEquals(rows.length, lines.length);
  for (const [at, row] of rows.entries()) {
    assertEquals(lines[at].length, titles.length, `line ${at + 2} of the CSV`);
    const expected = titles.map((title, column) => [title, valueOf(lines[at][column], types[column])]);
    assertEquals(titles.map((title) => [title, row[title] ?? null]), expected, `row ${at}`);
  }
  return rows;
}
