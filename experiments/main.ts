// `deno task experiments`: checks everything a command asks for, prepares the text, trains, and writes the report.
import config from "../deno.json" with { type: "json" };
import { checkPrecision } from "../experts/precision.ts";
import { stepsCsv } from "../report/csv.ts";
import { renderReport } from "../report/report.ts";
import { summaryTable } from "../report/table.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { checkWindows } from "../training/batches.ts";
import { loadBrown } from "../training/brown.ts";
import { type Dataset, prepare } from "../training/dataset.ts";
import { prepareFolder, readText, removePartial, writeAtomic } from "../training/files.ts";
import { parsePlainText } from "../training/plain_text.ts";
import { recordRows, recordText } from "../training/record.ts";
import { type Command, helpText, listText, readCommand, splitWords } from "./command.ts";
import { openDevice } from "./device.ts";
import { checkMemory, weightsOf } from "./memory_check.ts";
import { askedFolder, nextFolder, settleFacts } from "./out_folder.ts";
import { loadPlugin } from "./plugin.ts";
import { type Finished, planRuns, runAll } from "./run.ts";
import { createProgress, duration } from "./progress.ts";

async function main(words: readonly string[]): Promise<void> {
  const split = splitWords(words);
  if (split.flags.help) return console.log(helpText());
  const plugins: AnyRouterPlugin[] = [];
  for (const path of split.values.plugin) plugins.push(...await loadPlugin(path));
  if (split.flags.list) return console.log(listText());
  const command = readCommand(split, plugins);
  planRuns(command, command.size.vocabulary); // options and costs are checked before the text is loaded
  const experiment = command.experiment.name;
  const asked = await askedFolder({ ...command, experiment });

  const start = performance.now();
  console.log(`${experiment}: ${command.experiment.about}`);
  console.log(`Preparing ${command.text ?? "the Brown corpus"} ...`);
  const dataset = await prepareText(command);
  checkWindows(dataset, command.size);
  const device = await openDevice(command.device, command);
  checkPrecision(command.precision, device.backend);
  checkMemory(command.size, dataset.vocabulary.size, device);
  const plans = planRuns(command, dataset.vocabulary.size);
  const folder = asked ?? await nextFolder(experiment);
  const runFolder = `${folder}/runs`;
  await prepareFolder(runFolder, neededBytes(command, dataset.vocabulary.size, plans.length));
  if (command.resume) { for (const each of [folder, runFolder]) await removePartial(each); }
  await settleFacts(folder, {
    experiment,
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

  const progress = createProgress(plans.length, plans.length * command.steps, Deno.stdout.isTerminal());
  Deno.addSignalListener("SIGINT", () => {
    progress.stop();
    console.log(`\nStopped. To go on: ${taskCommand(continueWords(words, folder))}`);
    Deno.exit(130);
  });
  const finished = await runAll(plans, runFolder, {
    command,
    dataset,
    device,
    machine:
      `${navigator.hardwareConcurrency} logical cores, ${Deno.build.os} ${Deno.build.arch}, Deno ${Deno.version.deno}`,
    version: config.version,
    progress,
  });
  device.backend.close();
  await writeResults(folder, command, finished, taskCommand(words));
  console.log(
    `\n${summaryTable(finished.runs, finished.timings, { judgement: command.experiment.judgement })}`,
  );
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

/**
 * Room for a checkpoint beside the one it replaces (weights and two moments of 4 bytes), about 4 KiB of records a step,
 * and the report.
 */
function neededBytes({ size, steps }: Command, vocabulary: number, runs: number): number {
  return 2 * 12 * weightsOf(size, vocabulary) + 4096 * steps * runs + 2 ** 20;
}

async function writeResults(
  folder: string,
  command: Command,
  { runs, timings }: Finished,
  words: string,
): Promise<void> {
  const { name, about, judgement } = command.experiment;
  await writeAtomic(`${folder}/records.jsonl`, runs.map((run) => recordText(recordRows(run))).join(""));
  await writeAtomic(`${folder}/records.csv`, stepsCsv(runs));
  const date = new Date().toISOString().slice(0, 10);
  await writeAtomic(
    `${folder}/report.html`,
    renderReport({ name, about, judgement, command: words, date }, runs, timings),
  );
}

/** What to type: words that a shell would cut or read otherwise are quoted. */
function taskCommand(words: readonly string[]): string {
  const quoted = words.map((word) =>
    /^[\w.,:/=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
  );
  return ["deno task experiments", ...quoted].join(" ");
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
