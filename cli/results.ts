// What a command leaves beside its runs: records, tables and the report. The report is there from the first moment and is
// written anew as runs end, so that a command stopped at any moment leaves one.
import { dirname } from "node:path";
import { writeAtomic } from "../formats/files.ts";
import { tableCsv } from "../report/csv.ts";
import { tableParquet } from "../report/parquet.ts";
import { recordTable } from "../report/record_table.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { resultsIn } from "./read_results.ts";
import { type OutlinedLater, writeReport } from "./report_files.ts";
import type { Finished } from "./run.ts";
import { isListed, writeIndex } from "./runs_index.ts";

/** Time since the last report, in times of what that one took, before the next is worth its own. */
const PATIENCE = 20;

/** Writes what a command leaves; one writer a folder. */
export interface ResultsWriter {
  /** Before the first run: what an earlier command left is in the report, where it is resumed. */
  begin(resumes: boolean): Promise<void>;
  /** Names the runs that are asked for, once tuning has added some. */
  ask(runs: readonly string[]): void;
  /** After each run: the report, unless one was written a moment ago. */
  soFar(finished: Finished): Promise<void>;
  /** After a stop or a failure: all that lies in the folder, unfinished runs named; nothing before the beginning. */
  stopped(): Promise<void>;
  /** After the last run, with what was done besides. */
  end(finished: Finished, remarks: readonly string[]): Promise<void>;
}

/** Names of the runs that failed, and why. */
export function failedOf({ failed }: Finished): OutlinedLater["failed"] {
  return failed.map(({ plan, reason }) => ({ run: plan.names.run, reason }));
}

/** A writer of the results in a folder, which must exist. */
export function resultsWriter(folder: string, facts: OutlinedLater): ResultsWriter {
  let known = facts;
  let hasBegun = false;
  let isWriting = false;
  let next = 0;
  async function report(runs: readonly RunRecord[], timings: readonly TimingRecord[]): Promise<void> {
    const start = performance.now();
    await writeReport(folder, known, runs, timings);
    const now = performance.now();
    next = now + PATIENCE * (now - start);
  }
  async function all(runs: readonly RunRecord[], timings: readonly TimingRecord[]): Promise<void> {
    await writeAtomic(`${folder}/records.jsonl`, runs.map((run) => recordText(recordRows(run))).join(""));
    if (runs.length > 0) {
      const table = recordTable(runs);
      await writeAtomic(`${folder}/records.csv`, tableCsv(table));
      await writeAtomic(`${folder}/records.parquet`, await tableParquet(table));
    }
    await report(runs, timings);
    if (isListed(folder)) await writeIndex(dirname(folder));
  }
  return {
    async begin(resumes) {
      hasBegun = true;
      const { runs, timings } = resumes ? await resultsIn(folder) : { runs: [], timings: [] };
      await report(runs, timings);
    },
    ask(runs) {
      known = { ...known, runs };
    },
    async soFar(finished) {
      known = { ...known, failed: failedOf(finished) };
      if (isWriting || performance.now() < next) return;
      isWriting = true;
      try {
        await report(finished.runs, finished.timings);
      } finally {
        isWriting = false;
      }
    },
    async stopped() {
      // A command that was refused leaves what was there.
      if (!hasBegun) return;
      const { runs, timings } = await resultsIn(folder);
      await all(runs, timings);
    },
    async end(finished, remarks) {
      known = { ...known, failed: failedOf(finished), remarks };
      await all(finished.runs, finished.timings);
    },
  };
}
