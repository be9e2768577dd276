// The command line of `deno task experiments`: words in, a checked choice out. Every mistake is one sentence that names
// the value and what is allowed, before any work starts.
import { findExperts } from "../experts/registry.ts";
import { precisions } from "../experts/parts/precision.ts";
import { sizeOfDepth } from "../models/sizes.ts";
import { findRouter, routers } from "../routers/registry.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { findTask } from "../tasks/registry.ts";
import { flatten, parseConfig, type RunConfig, type Settings } from "../training/config.ts";
import { hintOf } from "../tensor/nearest.ts";
import { usual } from "../training/run_schema.ts";
import type { KeptStep } from "../training/saved_model.ts";
import { type Arm, armsOf, type Assignment, readAssignment } from "../experiments/arms.ts";
import { type CpuChoice, type DeviceName, findDevice } from "./device.ts";
import type { Experiment, ExperimentTask } from "../experiments/experiment.ts";
import * as experiments from "../experiments/mod.ts";
import type { Brought } from "./plugin.ts";
import { readTuning, type Tuning } from "../experiments/tune.ts";
import { shortPaths } from "./experiment_options.ts";
import { valueOf, wholeNumberOf, type Words } from "./options.ts";

/** What the words ask for. */
export interface Command extends CpuChoice {
  readonly experiment: Experiment;
  /** Tasks to run on, each with its settings: the task's own, those of the size, and the experiment's. */
  readonly tasks: readonly ExperimentTask[];
  readonly routers: readonly AnyRouterPlugin[] | null;
  /** Routers that came with `--plugin`. */
  readonly plugins: readonly AnyRouterPlugin[];
  /** All that came with `--plugin`. */
  readonly brought: Brought;
  readonly arms: readonly Arm[];
  readonly seeds: number;
  /** Seed of the first run. */
  readonly firstSeed: number;
  /** Name of the size, or empty. */
  readonly size: string;
  readonly controls: boolean;
  /** The control whose run a config file repeats, or null. */
  readonly control: RunConfig["control"];
  readonly tuning: Tuning | null;
  /** Variant that others are compared with, or null for `switch` where it takes part. */
  readonly baseline: string | null;
  readonly device: DeviceName;
  /** Runs side by side; null = as many as there are cores, on the CPU. */
  readonly jobs: number | null;
  readonly out: string | null;
  /** Which step's model each run keeps, or null for none. */
  readonly save: KeptStep | null;
  readonly resume: boolean;
  /** Whether runs also write TensorBoard's event files. */
  readonly tensorBoard: boolean;
}

/**
 * Looks everything up.
 * @param brought What came with `--plugin`, registered.
 * @param file A config file's content, or null.
 * @throws {RangeError} naming what cannot be used.
 */
export function readCommand(
  words: Words,
  brought: Brought,
  file: Readonly<Record<string, unknown>> | null,
): Command {
  const { names, values, flags } = words;
  if (names.length > 1) throw new RangeError(`Cannot run "${names.join(" ")}": name one experiment`);
  const experiment = findExperiment(names[0] ?? "compare");
  const device = findDevice(valueOf(words, "device") ?? "cpu");
  const blas = valueOf(words, "blas") ?? "off";
  if (device === "webgpu" && blas !== "off") {
    throw new RangeError(`Cannot use --blas ${blas} with --device webgpu: BLAS computes on the CPU`);
  }
  const jobs = wholeNumberOf(words, "jobs", 1, 64);
  if (device !== "cpu" && jobs !== null && jobs > 1) {
    throw new RangeError(
      `Cannot use --jobs ${jobs} with --device ${device}: runs share one device; leave it out`,
    );
  }
  const given = parseConfig(file ?? {});
  const assignments = [
    ...shortAssignments(words),
    ...values.set.map((word) => readAssignment("set", word)),
  ];
  checkPrecision(assignments, device);
  const varied = values.vary.map((word) => readAssignment("vary", word));
  const size = sizeOf(words);
  const tasks = tasksOf(experiment, words, size, file);
  if (given.control !== null && values.routers.length > 0) {
    throw new RangeError(
      `Cannot use --routers ${
        values.routers.join(",")
      }: the config is of the control "${given.control}", which takes ` +
        "the router's part; take control out of the file",
    );
  }
  const routers = routersOf(words, file);
  return {
    experiment,
    tasks,
    routers,
    plugins: brought.routers,
    brought,
    arms: armsOf(assignments, varied).map((arm) => withRouterOfFile(arm, routers, file)),
    seeds: wholeNumberOf(words, "seeds", 1, 1000) ?? 5,
    firstSeed: given.seed,
    size: size?.name ?? "",
    controls: !flags["no-controls"],
    control: given.control,
    tuning: tuningOf(words),
    baseline: valueOf(words, "baseline"),
    device,
    blas,
    threads: wholeNumberOf(words, "threads", 1, 64),
    jobs,
    out: valueOf(words, "out"),
    save: saveOf(words),
    resume: flags.resume,
    tensorBoard: flags.tensorboard,
  };
}

/** @throws {RangeError} when there is none of that name. */
export function findExperiment(name: string): Experiment {
  const all: Experiment[] = Object.values(experiments);
  const found = all.find((experiment) => experiment.name === name);
  if (found) return found;
  const names = all.map((experiment) => experiment.name);
  const list = names.map((each) => `"${each}"`).join(", ");
  throw new RangeError(`Cannot find experiment "${name}": ${hintOf(name, names)}there are ${list}`);
}

/** Short options stand for paths: `--steps 60` is `--set train.steps=60`. */
function shortAssignments(words: Words): Assignment[] {
  const found: Assignment[] = [];
  for (const [option, { path, least, most }] of Object.entries(shortPaths)) {
    if (words.flags[option]) found.push({ path, router: null, values: [true], source: `--${option}` });
    const text = words.values[option] ? valueOf(words, option) : null;
    if (text === null) continue;
    const value = least === undefined ? text : wholeNumberOf(words, option, least, most!);
    found.push({ path, router: null, values: [value], source: `--${option} ${text}` });
  }
  const experts = found.find(({ path }) => path === "experts.name");
  if (experts) findExperts(String(experts.values[0]));
  return found;
}

function tuningOf(words: Words): Tuning | null {
  const tune = valueOf(words, "tune");
  const budget = wholeNumberOf(words, "budget", 1, 1000);
  if (tune === null) {
    if (budget !== null) throw new RangeError(`Cannot use --budget ${budget}: it needs --tune`);
    return null;
  }
  return readTuning(tune, budget ?? 8);
}

function checkPrecision(assignments: readonly Assignment[], device: DeviceName): void {
  for (const { path, values } of assignments) {
    if (path !== "experts.precision") continue;
    for (const value of values) {
      if (!precisions.some((precision) => precision === value)) {
        throw new RangeError(`Cannot use --precision ${value}: there are ${precisions.join(", ")}`);
      }
      if (value === "half" && device === "cpu") {
        throw new RangeError(
          "Cannot use --precision half with --device cpu: only WebGPU stores 16-bit floats; add --device webgpu",
        );
      }
    }
  }
}

function saveOf(words: Words): KeptStep | null {
  const kept = valueOf(words, "save");
  if (kept === null || kept === "last" || kept === "best") return kept;
  throw new RangeError(`Cannot use --save ${kept}: choose last or best`);
}

/** A named size, or what follows from a depth. */
interface Size {
  readonly name: string;
  of(task: string): Settings;
}

function sizeOf(words: Words): Size | null {
  const name = valueOf(words, "size");
  const depth = wholeNumberOf(words, "depth", 2, 64);
  if (name !== null && depth !== null) {
    throw new RangeError(
      `Cannot use --depth ${depth} with --size ${name}: each sets width, experts and steps`,
    );
  }
  if (depth !== null) return { name: `depth ${depth}`, of: () => sizeOfDepth(depth) };
  if (name === null) return null;
  return {
    name,
    of(task) {
      const { sizes } = findTask(task);
      if (Object.hasOwn(sizes, name)) return sizes[name];
      const names = Object.keys(sizes);
      const list = names.map((size) => `"${size}"`).join(", ");
      throw new RangeError(`Cannot find size "${name}": ${hintOf(name, names)}task "${task}" has ${list}`);
    },
  };
}

/** Tasks with their settings, from the least to the most particular: the task's, the size's, the question's, the file's. */
function tasksOf(
  experiment: Experiment,
  words: Words,
  size: Size | null,
  file: Readonly<Record<string, unknown>> | null,
): ExperimentTask[] {
  const { router: _router, seed: _seed, control: _control, ...rest } = file ?? {};
  const ofFile = flatten(rest);
  const named = list(words, "task") ??
    (typeof ofFile["task.name"] === "string" ? [ofFile["task.name"]] : null) ??
    (words.values.text.length + words.values.tokenizer.length > 0 ? ["language"] : null);
  const tasks: readonly ExperimentTask[] =
    named?.map((name) => ({ label: name, settings: { "task.name": name } })) ??
      experiment.tasks;
  return tasks.map(({ label, settings, unsized }) => {
    const plugin = findTask(String(settings["task.name"]));
    const sized = size?.of(plugin.name) ?? {};
    return {
      label,
      settings: { ...plugin.defaults, ...unsized, ...sized, ...experiment.settings, ...settings, ...ofFile },
    };
  });
}

function routersOf(
  words: Words,
  file: Readonly<Record<string, unknown>> | null,
): readonly AnyRouterPlugin[] | null {
  const names = list(words, "routers");
  if (names === null) return file?.router === undefined ? null : [findRouter(routerOfFile(file).name)];
  if (!names.includes("all")) return names.map(findRouter);
  if (names.length > 1) {
    throw new RangeError(
      `Cannot use --routers ${
        names.join(",")
      }: "all" names every router; name "all" alone, or those to compare`,
    );
  }
  return routers();
}

function routerOfFile(file: Readonly<Record<string, unknown>>): { readonly name: string } {
  return { name: usual.router, ...file.router as { readonly name?: string } };
}

/** Options of the file's router, under those of the command line; none where another router is named. */
function withRouterOfFile(
  arm: Arm,
  routers: readonly AnyRouterPlugin[] | null,
  file: Readonly<Record<string, unknown>> | null,
): Arm {
  // A control takes the router's part.
  if (file?.router === undefined || file.control != null) return arm;
  const { name, ...options } = routerOfFile(file);
  if (!routers?.some((router) => router.name === name)) return arm;
  return { ...arm, routers: { ...arm.routers, [name]: { ...options, ...arm.routers[name] } } };
}

/** Names of an option that takes a list; null when it was not given. @throws {RangeError} when empty or said twice. */
function list({ values }: Words, option: string): string[] | null {
  if (values[option].length === 0) return null;
  const names = values[option].flatMap((each) => each.split(",")).filter((name) => name !== "");
  if (names.length === 0) {
    const all = option === "routers" ? ' or "all"' : "";
    throw new RangeError(`Cannot use --${option} "${values[option].join(",")}": name at least one${all}`);
  }
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    const path = option === "routers" ? `${twice}.capacityFactor=1,2` : "task.topics=8,16";
    throw new RangeError(
      `Cannot use --${option} ${
        names.join(",")
      }: "${twice}" is named twice; for two settings of one, give its ` +
        `option a list, like --set ${path}`,
    );
  }
  return names;
}
