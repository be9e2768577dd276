// `deno task experiments`: checks everything a command asks for, loads the tasks, trains, and writes the report.
import { dirname, resolve } from "node:path";
import { usedText } from "../cpu/blas/measurement.ts";
import config from "../deno.json" with { type: "json" };
import { checkPrecision } from "../experts/parts/precision.ts";
import { prepareFolder, removePartial, writeAtomic } from "../formats/files.ts";
import type { Reading } from "../report/claims.ts";
import { summaryTable } from "../report/table.ts";
import type { Machine } from "../training/record.ts";
import { MODEL_ENDING } from "../training/run_store.ts";
import { specOf } from "../training/spec_of.ts";
import { claimFor } from "./claim.ts";
import { type Command, readCommand } from "./command.ts";
import { givenConfig } from "./config_file.ts";
import { type Device, openDevice } from "./device.ts";
import { checkKeptModels } from "./kept_model.ts";
import { listingFor } from "./list.ts";
import { checkMemory } from "./memory_check.ts";
import { askedFolder, checkNoOthers, nextFolder, settleFacts } from "./out_folder.ts";
import { Stopped, stopSignal, untilStopped } from "./stop.ts";
import { elsewhere, fromWhereTheUserStands } from "./paths.ts";
import { outlineRuns, type PlannedRuns, planRuns } from "./plan_runs.ts";
import { checkTrials, neededBytes, stepsOf, twiceStudied, workOf } from "./planned.ts";
import { type Brought, loadPlugins } from "./plugin.ts";
import { mistakeIn } from "./plugin_check.ts";
import { pluginDigests } from "./plugin_digest.ts";
import { createProgress, duration, type Progress, showCursor } from "./progress.ts";
import { notesOf } from "./report_files.ts";
import { failedOf, type ResultsWriter, resultsWriter } from "./results.ts";
import { continueWords, taskCommand } from "./retyped.ts";
import { servePage } from "./serve.ts";
import { type Finished, runAll, type RunSetting } from "./run.ts";
import {
  chooseBest,
  planTrials,
  type Tuned,
  type Tuning,
  tuningSentences,
  withTuned,
} from "../experiments/tune.ts";
import { runTask, valueOf, type Words } from "./options.ts";
import { experimentsLine } from "./experiment_options.ts";

async function main(given: Words): Promise<void> {
  const words = Deno.args;
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const split = fromWhereTheUserStands(given, experimentsLine, stands);
  // Only a BLAS is tried in processes of their own. Without one nothing here starts any, and no plugin may.
  if ((valueOf(split, "blas") ?? "off") === "off") Deno.permissions.revokeSync({ name: "run" });
  const brought = await loadChecked(split.values.plugin);
  const listed = listingFor(split.flags);
  if (listed !== null) return console.log(listed);
  const command = readCommand(split, brought, await givenConfig(split));
  const experiment = command.experiment.name;
  const outlines = outlineRuns(command);
  const asked = await askedFolder({ ...command, experiment });
  using _asked = asked === null ? null : await claimFor(asked, taskCommand(words));
  const plugins = await pluginDigests(split.values.plugin);
  const start = performance.now();
  const stops = createStops(`Stopped before any run began. To begin: ${taskCommand(words)}`);
  console.log(`${experiment}: ${command.experiment.about}`);
  console.log(`Loading ${command.tasks.map(({ label }) => label).join("; ")} ...`);
  const planned = await planRuns(command, outlines);
  const jobs = jobsOf(command, planned);
  const device = await openDevice(command.device, {
    ...command,
    threads: command.threads ?? (jobs > 1 ? Math.max(1, Math.floor(cores() / jobs)) : null),
  });
  await checkPlans(planned, device, command);
  if (command.resume && asked !== null) await checkNoOthers(asked, namesOfRuns(command, planned));
  const own = asked ?? await nextFolder(experiment);
  using _own = asked === null ? await claimFor(own, taskCommand(words)) : null;
  const folder = stands === null ? own : resolve(own);
  const runFolder = `${folder}/runs`;
  await prepareFolder(runFolder, neededBytes(planned, command.save !== null));
  if (command.resume) { for (const each of [folder, runFolder]) await removePartial(each); }
  await settleFacts(folder, {
    experiment,
    tasks: command.tasks.map(({ label }) => label).join("; "),
    size: command.size,
    data: [...planned.data.values()].map(({ digest }) => digest).join(" "),
    plugins,
  });
  const side = jobs > 1 ? `, ${jobs} side by side` : "";
  const judged = workOf(command.tuning ? twiceStudied(planned) : planned);
  console.log(`${judged} in all on ${device.about}${side}; results in ${folder}/`);

  const again = taskCommand(continueWords(words, folder));
  const results = resultsWriter(folder, {
    ...readingOf(command),
    name: experiment,
    about: command.experiment.about,
    command: taskCommand(words),
    date: new Date().toISOString().slice(0, 10),
    goOn: again,
    runs: namesOfRuns(command, planned),
    failed: [],
  });
  await using served = split.flags.open ? servePage(`${folder}/report.html`) : null;
  if (served) console.log(`Open ${served.url} in a browser: the report, shown anew as runs end.`);
  stops.begun(`Report so far: ${folder}/report.html\nStopped. To go on: ${again}`);
  const setting = {
    ...settingOf(command, device, split),
    folder: runFolder,
    tensorBoard: command.tensorBoard ? `${folder}/tensorboard` : null,
    jobs,
    signal: stops.signal,
  };
  const { finished, remarks } = await trainAndTell(planned, command, setting, results);
  device.backend.close();
  tell(folder, command, finished, { ...readingOf(command), remarks, notes: notesOf(failedOf(finished)) });
  console.log(`${duration((performance.now() - start) / 1000)} in all.`);
  if (served) await untilStopped(stops.signal);
  if (finished.failed.length > 0) Deno.exit(1);
}

/** What a stop says: `early` until runs have begun, then how to go on. */
function createStops(early: string) {
  let goOn: string | null = null;
  const signal = stopSignal({
    hasBegun: () => goOn !== null,
    leave(status) {
      showCursor();
      console.log(`\n${goOn ?? early}`);
      Deno.exit(status);
    },
  });
  return { signal, begun: (text: string) => void (goOn = text) };
}

/** What all runs of a command share but for their folder. */
function settingOf(
  { resume, save }: Command,
  device: Device,
  { values }: Words,
): Omit<RunSetting, "folder" | "tensorBoard" | "jobs" | "signal" | "progress" | "onEnd" | "onBegin"> {
  return {
    device,
    resume,
    keepModel: save,
    pluginPaths: values.plugin,
    machine: machineOf(device),
    version: config.version,
  };
}

/** The summary, and where the rest is. */
function tell(folder: string, command: Command, { runs, timings }: Finished, reading: Reading): void {
  if (runs.length > 0) {
    console.log(`\n${summaryTable(runs, timings, reading)}`);
    console.log(placesOf(command, folder));
  } else for (const note of reading.notes ?? []) console.error(note);
}

/** What timings are taken on. */
function machineOf({ threads, blas }: Device): Machine {
  const cores = navigator.hardwareConcurrency;
  const machine = `${cores} logical cores, ${Deno.build.os} ${Deno.build.arch}, Deno ${Deno.version.deno}`;
  return { threads, machine, blas: usedText(blas) };
}

/** Where what a command leaves is, a line each. */
function placesOf({ tensorBoard, save }: Command, folder: string): string {
  return [
    `Report: ${folder}/report.html (rows: records.jsonl, records.csv, records.parquet).`,
    ...(tensorBoard ? [`Curves: tensorboard --logdir ${folder}/tensorboard`] : []),
    ...(save ? [`Models: ${folder}/runs/*${MODEL_ENDING}.`] : []),
  ].join("\n");
}

/** Tunes where asked, trains, and keeps the results; after a stop or a failure there is a report as well. */
async function trainAndTell(
  planned: PlannedRuns,
  { tuning }: Command,
  setting: Omit<RunSetting, "progress" | "onEnd">,
  results: ResultsWriter,
): Promise<{ finished: Finished; remarks: readonly string[] }> {
  try {
    const onBegin = () => results.begin(setting.resume);
    const tuned = tuning ? await tune(planned, tuning, { ...setting, onBegin }, dirname(setting.folder)) : [];
    const judged = tuned.length > 0 ? { ...planned, plans: withTuned(planned.plans, tuned) } : planned;
    results.ask(judged.plans.map(({ names }) => names.run));
    const finished = await runAll(judged, {
      ...setting,
      progress: progressOf(judged),
      onBegin,
      onEnd: results.soFar,
    });
    const remarks = tuningSentences(tuned, planned.plans);
    await results.end(finished, remarks);
    return { finished, remarks };
  } catch (error) {
    // Why it ended is what is to be told, whatever comes of the report.
    await results.stopped().catch(() => {});
    throw error;
  }
}

/** Runs all trials into a folder of their own, and keeps what they found beside it. */
async function tune(
  planned: PlannedRuns,
  tuning: Tuning,
  setting: Omit<RunSetting, "progress" | "onEnd">,
  folder: string,
): Promise<Tuned[]> {
  const trials = planTrials(planned.plans, tuning);
  const tried = { plans: trials.map(({ plan }) => plan), data: planned.data };
  console.log(
    `${trials.length} trials of ${
      stepsOf(tried)
    } steps in all first, ${tuning.budget} for each variant and control`,
  );
  const trialFolder = `${folder}/tuning`;
  await prepareFolder(trialFolder, neededBytes(tried, false));
  const tensorBoard = setting.tensorBoard && `${setting.tensorBoard}/tuning`;
  const progress = progressOf(tried);
  const { runs, failed } = await runAll(tried, {
    ...setting,
    keepModel: null,
    folder: trialFolder,
    tensorBoard,
    progress,
  });
  const reasons = new Map(failed.map(({ plan, reason }) => [plan.names.run, reason]));
  const tuned = chooseBest(trials, runs, reasons);
  const kept = tuned.map(({ of: { names }, loss, best, trials }) => ({
    ...names,
    loss,
    best: best.values,
    trials,
  }));
  await writeAtomic(`${folder}/tuning.json`, JSON.stringify(kept, null, 2) + "\n");
  return tuned;
}

/** What modules bring; routers that break their contract on one batch are named at once, and left out once they run. */
async function loadChecked(paths: readonly string[]): Promise<Brought> {
  const brought = await loadPlugins(paths);
  for (const plugin of brought.routers) {
    const mistake = await mistakeIn(plugin);
    if (mistake !== null) console.log(`Router "${plugin.name}" will be left out. ${mistake}.`);
  }
  return brought;
}

function progressOf(planned: PlannedRuns): Progress {
  return createProgress(planned.plans.length, stepsOf(planned), Deno.stdout.isTerminal());
}

/** Runs that a command may leave, tuned ones among them. */
function namesOfRuns({ tuning }: Command, { plans }: PlannedRuns): string[] {
  const own = plans.map(({ names }) => names.run);
  return tuning ? [...own, ...own.map((run) => run.replace(/-seed(\d+)$/, "-tuned-seed$1"))] : own;
}

function cores(): number {
  return navigator.hardwareConcurrency;
}

/** Runs side by side: what was asked for, or one a core on the CPU where threads are not asked for. */
function jobsOf({ jobs, device, threads }: Command, { plans }: PlannedRuns): number {
  if (device !== "cpu") return 1;
  return Math.min(plans.length, jobs ?? (threads === null ? cores() : 1));
}

/** Everything that can be refused before training is. */
async function checkPlans(planned: PlannedRuns, device: Device, { tuning }: Command): Promise<void> {
  if (tuning) checkTrials(planned, tuning);
  const { plans, data } = planned;
  for (const { config, dataKey } of plans) {
    const { precision } = config.experts;
    if (precision === "full" || precision === "half") checkPrecision(precision, device.backend);
    checkMemory(specOf(config, data.get(dataKey)!), config.train.batch * config.train.length, device);
  }
  await checkKeptModels(planned);
}

/** How a report is to be read, as far as the command says. */
function readingOf({ experiment: { judgement }, baseline, controls }: Command): Reading {
  return { judgement, controlsLeftOut: !controls, ...(baseline === null ? {} : { baseline }) };
}

if (import.meta.main) {
  await runTask(experimentsLine, async (words) => {
    try {
      await main(words);
    } catch (error) {
      if (error instanceof Stopped) error.leave();
      throw error;
    }
  });
}
