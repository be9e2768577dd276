// `deno task compare`: the summary of one or several results in the terminal, or as JSON.
import { between, betweenTable } from "../report/between.ts";
import { merged } from "../report/merge.ts";
import { summaryData } from "../report/summary_data.ts";
import { summaryTable, textTable } from "../report/table.ts";
import { type CommandLine, runTask, valueOf, type Words } from "./options.ts";
import { elsewhere, operandsFromWhereTheUserStands } from "./paths.ts";
import { readResults } from "./read_results.ts";
import { readingOf } from "./report.ts";

/** Its command line. */
export const line: CommandLine = {
  task: "compare",
  about: "Prints the tables and verdicts of results, from their records; several are merged.",
  operands: "RUN...",
  options: {
    baseline: { about: "variant that others are compared with", value: "NAME" },
    json: { about: "print unrounded numbers and sentences as JSON" },
  },
  notes: [
    "RUN is a folder of results or a file of records (records.jsonl, runs/NAME.jsonl).",
    "",
    "Examples",
    "  deno task compare results/compare results/compare-2",
    "  deno task compare results/compare --json",
  ],
};

async function main(given: Words): Promise<void> {
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const words = operandsFromWhereTheUserStands(given, line, stands);
  if (words.names.length === 0) throw new RangeError("Cannot compare nothing: name a folder of results");
  const sources = await Promise.all(words.names.map(readResults));
  const { runs, timings } = merged(sources);
  const reading = readingOf(sources, valueOf(words, "baseline"));
  const shared = sources.length === 2 ? between([sources[0], sources[1]]) : [];
  if (words.flags.json) {
    return console.log(JSON.stringify({ ...summaryData(runs, timings, reading), between: shared }, null, 2));
  }
  console.log(summaryTable(runs, timings, reading));
  if (shared.length > 0) {
    const { titles, rows } = betweenTable([sources[0].label, sources[1].label], shared);
    console.log(textTable(titles, rows));
  }
}

if (import.meta.main) await runTask(line, main);
