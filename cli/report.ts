// `deno task report`: makes a report again from records, merges several, or lists all results on one page.
import { dirname, relative, resolve } from "node:path";
import { writeAtomic } from "../formats/files.ts";
import type { Reading } from "../report/claims.ts";
import { merged } from "../report/merge.ts";
import { list } from "../report/numbers.ts";
import { renderReport, type ReportedExperiment } from "../report/report.ts";
import type { RunRecord } from "../training/record.ts";
import { type CommandLine, runTask, valueOf, type Words } from "./options.ts";
import { elsewhere, operandsFromWhereTheUserStands } from "./paths.ts";
import { readResults, type Results } from "./read_results.ts";
import { recordFilesOf, reportedOf } from "./report_files.ts";
import { writeIndex } from "./runs_index.ts";
import { servePage } from "./serve.ts";

/** Its command line. */
export const line: CommandLine = {
  task: "report",
  about:
    "Makes a report again from its records, or one report of several; without RUN, writes results/index.html, which lists all results.",
  operands: "[RUN...]",
  options: {
    out: {
      about: "file to write (default: report.html in the folder of a single RUN)",
      value: "FILE",
      isPath: true,
    },
    baseline: { about: "variant that others are compared with", value: "NAME" },
    open: { about: "then serve the page to this machine until Ctrl-C, shown anew when it changes" },
  },
  notes: [
    "RUN is a folder of results or a file of records (records.jsonl, runs/NAME.jsonl).",
    "",
    "Examples",
    "  deno task report results/compare",
    "  deno task report results/compare results/compare-2 --out both.html",
  ],
};

/** What several sources say of how they are to be read; where rules differ, routers are judged by loss. */
export function readingOf(sources: readonly Results[], baseline: string | null): Reading {
  const facts = sources.flatMap(({ facts }) => facts ?? []);
  const rules = new Set(facts.map(({ judgement }) => JSON.stringify(judgement)));
  const named = baseline ?? (sources.length === 1 ? facts[0]?.baseline : undefined);
  return {
    ...(facts.length === sources.length && rules.size === 1 ? { judgement: facts[0].judgement } : {}),
    ...(named === undefined ? {} : { baseline: named }),
    controlsLeftOut: facts.some(({ controlsLeftOut }) => controlsLeftOut),
    remarks: facts.flatMap(({ remarks }) => remarks ?? []),
    notes: sources.flatMap(({ facts, runs }) => facts ? reportedOf(facts, runs).notes ?? [] : []),
  };
}

/** Tasks' descriptions where no question came with the records. */
function aboutOf(runs: readonly RunRecord[]): string {
  return list([
    ...new Set(runs.map(({ header: { task, data } }) => task?.about ?? `Runs on ${data.corpus}.`)),
  ]);
}

/** What the page says beside its records. */
function reported(
  sources: readonly Results[],
  words: readonly string[],
  reading: Reading,
): ReportedExperiment {
  const [first] = sources;
  const runs = sources.flatMap((source) => source.runs);
  if (sources.length === 1 && first.facts) return { ...reportedOf(first.facts, runs), ...reading };
  return {
    name: list(sources.map(({ label }) => label)),
    about: [...new Set(sources.map((source) => source.facts?.about ?? aboutOf(source.runs)))].join(" "),
    command: sources.length === 1 ? "" : ["deno task report", ...words].join(" "),
    date: sources.map(({ facts }) => facts?.date ?? "").sort().at(-1)!,
    ...reading,
  };
}

/** Files of records, by path from the page. */
async function filesOf(sources: readonly Results[], out: string): Promise<ReportedExperiment["files"]> {
  const found = await Promise.all(sources.map(async ({ path, label, isFolder }) => {
    const files = isFolder ? await recordFilesOf(path) : [{ name: path, path: "" }];
    return files.map(({ name, path: below }) => ({
      name: sources.length > 1 ? `${label}: ${name}` : name,
      path: relative(dirname(resolve(out)), resolve(path, below)),
    }));
  }));
  return found.flat();
}

async function makeReport(paths: readonly string[], given: Words): Promise<string> {
  const sources = await Promise.all(paths.map(readResults));
  const out = valueOf(given, "out") ??
    (sources.length === 1 && sources[0].isFolder ? `${paths[0]}/report.html` : null);
  if (out === null) throw new RangeError(`Cannot write a report of ${paths.join(", ")}: give --out FILE`);
  const { runs, timings } = merged(sources);
  const reading = readingOf(sources, valueOf(given, "baseline"));
  const experiment = { ...reported(sources, Deno.args, reading), files: await filesOf(sources, out) };
  await writeAtomic(out, renderReport(experiment, runs, timings));
  console.log(`Report of ${runs.length} runs: ${out}`);
  return out;
}

async function listResults(given: Words): Promise<string> {
  for (const option of ["out", "baseline"]) {
    const value = valueOf(given, option);
    if (value !== null) throw new RangeError(`Cannot use --${option} ${value}: name the runs to report`);
  }
  const count = await writeIndex("results");
  console.log(`${count} experiments: results/index.html`);
  return "results/index.html";
}

async function main(given: Words): Promise<void> {
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const words = operandsFromWhereTheUserStands(given, line, stands);
  const page = words.names.length > 0 ? await makeReport(words.names, words) : await listResults(words);
  if (!words.flags.open) return;
  await using served = servePage(page);
  console.log(`Open ${served.url} in a browser; Ctrl-C ends.`);
  await served.ended;
}

if (import.meta.main) await runTask(line, main);
