// Records as JSON Lines: written as they are, read in today's shape whatever their age.
import { fromOlder } from "./older_records.ts";
import type { RecordRow, RunRecord } from "./record.ts";

/** A row as a line. JSON has no NaN and no infinity: they stand as the texts "NaN", "Infinity" and "-Infinity". */
export function rowText(row: RecordRow): string {
  const text = JSON.stringify(
    row,
    (_, value) => typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
  return text + "\n";
}

/** A line as a row. @throws {SyntaxError} when it is no JSON. */
function parseRow(line: string): RecordRow {
  const row = JSON.parse(line);
  // Rows of numbers; a run's settings hold texts of any kind.
  if (row?.kind === "run" || !/"(NaN|-?Infinity)"/.test(line)) return row;
  return JSON.parse(
    line,
    (_, value) => value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value,
  );
}

/**
 * A record as JSON Lines: a row a line, with NaN and infinities as texts.
 * @example
 * ```ts
 * import { recordText, type RunHeader } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const header = { kind: "run", schema: 3, run: "switch-seed0" } as RunHeader; // and the rest of it
 * assertEquals(recordText([header]), '{"kind":"run","schema":3,"run":"switch-seed0"}\n');
 * ```
 */
export function recordText(rows: readonly RecordRow[]): string {
  return rows.map(rowText).join("");
}

/** A record's rows in the order they were written. */
export function recordRows({ header, steps, evaluations, end }: RunRecord): RecordRow[] {
  const rows: RecordRow[] = [header];
  let next = 0;
  const pointsUpTo = (step: number) => {
    for (; next < evaluations.length && evaluations[next].step <= step; next++) rows.push(evaluations[next]);
  };
  for (const row of steps) {
    pointsUpTo(row.step);
    rows.push(row);
  }
  pointsUpTo(Infinity);
  if (end) rows.push(end);
  return rows;
}

/**
 * Reads a record's JSON Lines.
 * @param name What to call the text in errors.
 * @throws {SyntaxError} when a line is no record, naming the line.
 * @example
 * ```ts
 * import { parseRecord, recordText, type RunHeader } from "@switchyard/moe/training";
 * import { assertEquals, assertThrows } from "@std/assert";
 * const header = { kind: "run", schema: 3, run: "switch-seed0" } as RunHeader; // and the rest of it
 * const record = parseRecord(recordText([header]), "mine");
 * assertEquals([record.header, record.steps, record.end], [header, [], null]);
 * assertThrows(() => parseRecord("{}", "mine"), SyntaxError, "Cannot read record mine: line 1");
 * ```
 */
export function parseRecord(text: string, name: string): RunRecord {
  return recordOf(parseRows(text, name), name);
}

/**
 * Reads the JSON Lines of several records, one after another, as in `records.jsonl`.
 * @param name What to call the text in errors.
 * @throws {SyntaxError} when a line is no record, naming the line, or the first is not the first of a run.
 * @example
 * ```ts
 * import { parseRecords, recordText, type RunHeader } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const header = (run: string) => ({ kind: "run", schema: 3, run }) as RunHeader; // and the rest of it
 * const text = recordText([header("switch-seed0"), header("switch-seed1")]);
 * assertEquals(parseRecords(text, "mine").map(({ header }) => header.run), ["switch-seed0", "switch-seed1"]);
 * ```
 */
export function parseRecords(text: string, name: string): RunRecord[] {
  const rows = parseRows(text, name);
  if (rows.length > 0 && rows[0].kind !== "run") {
    throw new SyntaxError(`Cannot read record ${name}: its first line is no "run" row`);
  }
  const starts = rows.flatMap(({ kind }, at) => kind === "run" ? [at] : []);
  return starts.map((start, at) => recordOf(rows.slice(start, starts[at + 1]), name));
}

function parseRows(text: string, name: string): RecordRow[] {
  return text.split("\n").filter((line) => line !== "").map((line, at): RecordRow => {
    let row: RecordRow | undefined;
    try {
      row = parseRow(line);
    } catch {
      // reported below with the line
    }
    if (!row || !["run", "step", "evaluation", "end"].includes(row.kind)) {
      throw new SyntaxError(`Cannot read record ${name}: line ${at + 1} is no row of a run`);
    }
    return fromOlder(row);
  });
}

/** Rows of one run by their kinds. @throws {SyntaxError} when none is its first. */
export function recordOf(rows: readonly RecordRow[], name: string): RunRecord {
  const header = rows.find((row) => row.kind === "run");
  if (!header) throw new SyntaxError(`Cannot read record ${name}: it has no "run" row`);
  return {
    header,
    steps: rows.filter((row) => row.kind === "step"),
    evaluations: rows.filter((row) => row.kind === "evaluation"),
    end: rows.find((row) => row.kind === "end") ?? null,
  };
}
