// A folder's report, and report.json beside it: what the report says that no record holds, so that it can be made again
// from the folder alone.
import { isMissing, readText, writeAtomic } from "../formats/files.ts";
import { type Outline, outlineOf } from "../report/outline.ts";
import { renderReport, type ReportedExperiment } from "../report/report.ts";
import type { RunRecord, TimingRecord } from "../training/record.ts";

const FACTS = "report.json";

/** What report.json holds. */
export interface ReportFacts extends Omit<ReportedExperiment, "planned" | "files" | "notes"> {
  /** Names of the runs that were asked for, in the experiment's order. */
  readonly runs: readonly string[];
  /** Runs that failed, and why. */
  readonly failed: readonly { readonly run: string; readonly reason: string }[];
  /** What a page that lists experiments says of this one, as of the last report. */
  readonly outline: Outline;
}

/** Facts before their outline is known. */
export type OutlinedLater = Omit<ReportFacts, "outline">;

/** Files of records that a folder may hold, by what a page calls them. */
const recordFiles = ["records.jsonl", "records.csv", "records.parquet"];

/** Those that it holds. */
export async function recordFilesOf(folder: string): Promise<{ name: string; path: string }[]> {
  const there = await Promise.all(recordFiles.map(async (name) => !await isMissing(`${folder}/${name}`)));
  return recordFiles.filter((_, at) => there[at]).map((name) => ({ name, path: name }));
}

/** Sentences about runs that failed. */
export function notesOf(failed: ReportFacts["failed"]): string[] {
  return failed.map(({ run, reason }) => `Run ${run} is left out: ${reason}.`);
}

/**
 * What a report is made of beside its records. How to go on is said while runs are left, and the baseline that was asked
 * for is taken once it has a run: what ends before is compared as far as it can be.
 */
export function reportedOf(
  { runs, failed, goOn, baseline, ...facts }: OutlinedLater,
  records: readonly RunRecord[],
): ReportedExperiment {
  const left = runs.length - failed.length - records.filter(({ end }) => end !== null).length;
  return {
    ...facts,
    planned: runs.length,
    ...(left > 0 ? { goOn } : {}),
    ...(records.some(({ header }) => header.router === baseline) ? { baseline } : {}),
    notes: notesOf(failed),
  };
}

/** Writes report.html and report.json. */
export async function writeReport(
  folder: string,
  facts: OutlinedLater,
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
): Promise<void> {
  const reported = { ...reportedOf(facts, runs), files: await recordFilesOf(folder) };
  await writeAtomic(`${folder}/report.html`, renderReport(reported, runs, timings));
  const outlined: ReportFacts = { ...facts, outline: outlineOf(reported, runs, timings) };
  await writeAtomic(`${folder}/${FACTS}`, JSON.stringify(outlined, null, 2) + "\n");
}

/** Facts of a folder; null where it has none. @throws {RangeError} when they are damaged. */
export async function readReportFacts(folder: string): Promise<ReportFacts | null> {
  const path = `${folder}/${FACTS}`;
  if (await isMissing(path)) return null;
  try {
    const found = JSON.parse(await readText(path)) as ReportFacts;
    if (Array.isArray(found?.runs) && found.outline) return found;
  } catch {
    // said below
  }
  throw new RangeError(
    `Cannot read ${path}: it is damaged; without it the report is made from records alone`,
  );
}
