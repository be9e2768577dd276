// `deno task experiments`: checks everything a command asks for, prepares the text, trains, and writes the report.
import config from "../deno.json" with { type: "json" };
import { stepsCsv } from "../report/csv.ts";
import { renderReport } from "../report/report.ts";
import { summaryTable } from "../report/table.ts";
import { loadBrown } from "../training/brown.ts";
import { type Dataset, prepare } from "../training/dataset.ts";
import { prepareFolder, readText, writeAtomic } from "../training/files.ts";
import { parsePlainText } from "../training/plain_text.ts";
import { recordRows, recordText } from "../training/record.ts";
import { type Command, helpText, listText, readCommand, splitWords } from "./command.ts";
import { openDevice } from "./device.ts";
import { checkMemory } from "./memory_check.ts";
import { chooseFolder, settleFacts } from "./out_folder.ts";
import { loadPlugin } from "./plugin.ts";
import { type Finished, planRuns, runAll } from "./run.ts";
import { duration } from "./progress.ts";

async function main(words: readonly string[]): Promise<void> {
  const split = splitWords(words);
  if (split.flags.help) return console.log(helpText());
  for (const path of split.values.plugin) await loadPlugin(path);
  if (split.flags.list) return console.log(listText());
  const command = readCommand(split);
  planRuns(command, command.size.vocabulary); // options and costs are checked before the text is loaded
  const folder = await chooseFolder({ ...command, experiment: command.experiment.name });

  const start = performance.now();
  console.log(`${command.experiment.name}: ${command.experiment.about}`);
  console.log(`Preparing ${command.text ?? "the Brown corpus"} ...`);
  const dataset = await prepareText(command);
  const device = await openDevice(command.device, command.threads);
  checkMemory(command.size, dataset.vocabulary.size, device);
  const plans = planRuns(command, dataset.vocabulary.size);
  const runFolder = `${folder}/runs`;
  await prepareFolder(runFolder, neededBytes(command, plans.length));
  await settleFacts(folder, {
    experiment: command.experiment.name,
    size: command.sizeName,
    steps: command.steps,
    vocabulary: dataset.vocabulary.size,
    corpus: dataset.name,
  });
  console.log(
    `${dataset.name}: ${dataset.train.length} training and ${dataset.validation.length} validation tokens, ` +
      `${dataset.vocabulary.size} words, unigram perplexity ${dataset.unigramPerplexity.toFixed(1)}`,
  );
  console.log(
    `${plans.length} runs of ${command.steps} steps on ${device.about}; results in ${folder}/`,
  );

  Deno.addSignalListener("SIGINT", () => {
    console.log(`\nStopped. To go on: deno task experiments ${continueWords(words, folder).join(" ")}`);
    Deno.exit(130);
  });
  const finished = await runAll(plans, runFolder, {
    command,
    dataset,
    device,
    machine:
      `${navigator.hardwareConcurrency} logical cores, ${Deno.build.os} ${Deno.build.arch}, Deno ${Deno.version.deno}`,
    version: config.version,
    terminal: Deno.stdout.isTerminal(),
  });
  device.backend.close();
  await writeResults(folder, command, finished, `deno task experiments ${words.join(" ")}`.trim());
  console.log(`\n${summaryTable(finished.runs, finished.timings)}`);
  console.log(`Unigram perplexity ${dataset.unigramPerplexity.toFixed(1)}.`);
  console.log(
    `Report: ${folder}/report.html (rows: records.jsonl, records.csv). ${
      duration((performance.now() - start) / 1000)
    } in all.`,
  );
}

async function prepareText({ text, size }: Command): Promise<Dataset> {
  const corpus = text === null ? await loadBrown() : parsePlainText(await readText(text), text);
  return prepare(corpus, { vocabulary: size.vocabulary });
}

/** Room for one checkpoint and all records: weights and two moments of 4 bytes, about 2 KiB a recorded step. */
function neededBytes({ size, steps }: Command, runs: number): number {
  const weights = size.vocabulary * size.width +
    size.blocks * (4 * size.width ** 2 + 2 * size.width * size.activeUnits * size.experts);
  return 12 * weights + 2048 * steps * runs;
}

async function writeResults(
  folder: string,
  command: Command,
  { runs, timings }: Finished,
  words: string,
): Promise<void> {
  const { name, about } = command.experiment;
  await writeAtomic(`${folder}/records.jsonl`, runs.map((run) => recordText(recordRows(run))).join(""));
  await writeAtomic(`${folder}/records.csv`, stepsCsv(runs));
  const date = new Date().toISOString().slice(0, 10);
  await writeAtomic(
    `${folder}/report.html`,
    renderReport({ name, about, command: words, date }, runs, timings),
  );
}

function continueWords(words: readonly string[], folder: string): string[] {
  const kept = words.filter((word, at) =>
    word !== "--resume" && word !== "--out" && words[at - 1] !== "--out"
  );
  return [...kept, "--out", folder, "--resume"];
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    const expected = error instanceof RangeError ||
      (error instanceof Error && error.message.startsWith("Cannot "));
    console.error(expected ? error.message : error);
    Deno.exit(1);
  }
}
