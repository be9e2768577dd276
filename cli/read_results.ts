// Records from where they lie: a folder of results, stopped ones too, or a file of records.
import { basename, dirname } from "node:path";
import { filesUnder, isMissing, readText } from "../formats/files.ts";
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { parseRecord, parseRecords } from "../training/record_text.ts";
import { UNFINISHED } from "../training/run_store.ts";
import { readReportFacts, type ReportFacts } from "./report_files.ts";

/** Runs that were found together. */
export interface Results {
  /** As typed, for errors. */
  readonly path: string;
  /** What tells it from others: the name of its folder. */
  readonly label: string;
  /** False for a file of records. */
  readonly isFolder: boolean;
  readonly runs: readonly RunRecord[];
  readonly timings: readonly TimingRecord[];
  readonly facts: ReportFacts | null;
}

/**
 * Reads a folder of results or a file of records in JSON Lines.
 * @throws {RangeError} when there are none; {SyntaxError} when one is damaged; {Error} when it cannot be read.
 */
export async function readResults(path: string): Promise<Results> {
  if (await isMissing(path)) throw new RangeError(`Cannot read runs from ${path}: no such file or folder`);
  const files = await filesUnder(path);
  if (files === null) {
    const runs = parseRecords(await readText(path), path);
    const name = basename(path, ".jsonl");
    const label = name === "records" ? basename(dirname(path)) : name;
    return checked({ path, label, isFolder: false, runs, timings: [], facts: null });
  }
  const folder = path.replace(/(?<=.)\/+$/, "");
  return checked({ path, label: basename(folder), isFolder: true, ...await resultsIn(folder) });
}

/** What lies in a folder of results, which may be nothing. */
export async function resultsIn(folder: string): Promise<Pick<Results, "runs" | "timings" | "facts">> {
  const files = await filesUnder(folder) ?? [];
  const facts = await readReportFacts(folder);
  if (!files.some((file) => /^runs\/.*\.jsonl$/.test(file))) {
    return { runs: await recordsOf(folder, files), timings: [], facts };
  }
  const below = files.filter((file) => file.startsWith("runs/")).map((file) => file.slice("runs/".length));
  return { ...await runsIn(`${folder}/runs`, below, facts), facts };
}

function checked(results: Results): Results {
  if (results.runs.length > 0 || results.facts) return results;
  throw new RangeError(
    `Cannot read runs from ${results.path}: it holds neither runs nor records.jsonl; name a folder of results or ` +
      "a file of records",
  );
}

async function recordsOf(folder: string, files: readonly string[]): Promise<RunRecord[]> {
  const name = "records.jsonl";
  return files.includes(name) ? parseRecords(await readText(`${folder}/${name}`), `${folder}/${name}`) : [];
}

/**
 * Runs of a folder in the order they were asked for, else by name. Of one that is unfinished, the rows that were written
 * whole; one that failed is told of in the facts.
 */
async function runsIn(
  folder: string,
  files: readonly string[],
  facts: ReportFacts | null,
): Promise<{ runs: RunRecord[]; timings: TimingRecord[] }> {
  const order = facts?.runs ?? [];
  const failed = facts?.failed.map(({ run }) => run) ?? [];
  const placeOf = (name: string) => order.includes(name) ? order.indexOf(name) : order.length;
  const names = files.filter((file) => /(?<!\.timing)\.jsonl$/.test(file))
    .map((file) => file.slice(0, -".jsonl".length))
    .sort((a, b) =>
      placeOf(plainName(a)) - placeOf(plainName(b)) || a.localeCompare(b, "en", { numeric: true })
    );
  const runs: RunRecord[] = [];
  const timings: TimingRecord[] = [];
  for (const name of names) {
    const path = `${folder}/${name}.jsonl`;
    if (name.endsWith(UNFINISHED)) {
      if (failed.includes(plainName(name))) continue;
      const text = await readText(path);
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      if (whole !== "") runs.push(parseRecord(whole, path));
      continue;
    }
    runs.push(parseRecord(await readText(path), path));
    if (files.includes(`${name}.timing.json`)) {
      timings.push(JSON.parse(await readText(`${folder}/${name}.timing.json`)));
    }
  }
  return { runs, timings };
}

function plainName(name: string): string {
  return name.endsWith(UNFINISHED) ? name.slice(0, -UNFINISHED.length) : name;
}
