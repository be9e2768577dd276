// The command line of `deno task experiments`: words in, a checked choice out. Every mistake is one sentence that names
// the value and what is allowed, before any work starts.
import { parseArgs } from "@std/cli/parse-args";
import { type Precision, precisions } from "../experts/precision.ts";
import { findSize, type ModelSize, sizes } from "../models/presets.ts";
import { findRouter, optionNames, parseOptions, routers } from "../routers/registry.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import * as experiments from "./mod.ts";
import { type CpuChoice, type DeviceName, findDevice } from "./device.ts";
import type { Experiment } from "./experiment.ts";

/** What the words ask for. */
export interface Command extends CpuChoice {
  readonly experiment: Experiment;
  readonly routers: readonly AnyRouterPlugin[] | null;
  readonly plugins: readonly AnyRouterPlugin[];
  readonly settings: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly seeds: number;
  readonly sizeName: string;
  readonly size: ModelSize;
  readonly steps: number;
  readonly device: DeviceName;
  readonly precision: Precision;
  readonly out: string | null;
  readonly resume: boolean;
  readonly text: string | null;
}

const strings = [
  "routers",
  "seeds",
  "steps",
  "size",
  "out",
  "threads",
  "device",
  "blas",
  "precision",
  "plugin",
  "set",
  "text",
  "vocabulary",
  "ranks",
];
const booleans = ["list", "resume", "help", "sharded"];

/** Words split into names and values; nothing is looked up yet. */
export interface Words {
  readonly names: readonly string[];
  readonly values: Readonly<Record<string, readonly string[]>>;
  readonly flags: Readonly<Record<string, boolean>>;
}

/** Splits the command line. @throws {RangeError} for an option that does not exist. */
export function splitWords(words: readonly string[]): Words {
  const unknown: string[] = [];
  const parsed = parseArgs([...words], {
    string: strings,
    boolean: booleans,
    collect: strings,
    unknown: (word: string) => {
      if (word.startsWith("-")) unknown.push(word);
      return true;
    },
  }) as Record<string, unknown> & { _: (string | number)[] };
  if (unknown.length > 0) {
    const known = [...strings, ...booleans].sort().map((name) => `--${name}`).join(", ");
    throw new RangeError(`Cannot use option "${unknown[0]}": there are ${known}`);
  }
  return {
    names: parsed._.map(String),
    values: Object.fromEntries(strings.map((name) => [name, (parsed[name] ?? []) as string[]])),
    flags: Object.fromEntries(booleans.map((name) => [name, parsed[name] === true])),
  };
}

/**
 * Looks everything up.
 * @param plugins Routers that came with `--plugin`, registered.
 * @throws {RangeError} naming what cannot be used.
 */
export function readCommand(
  { names, values, flags }: Words,
  plugins: readonly AnyRouterPlugin[],
): Command {
  if (names.length > 1) throw new RangeError(`Cannot run "${names.join(" ")}": name one experiment`);
  const experiment = findExperiment(names[0] ?? "compare");
  const sizeName = last(values, "size") ?? "small";
  const preset = findSize(sizeName);
  const vocabulary = wholeNumber(values, "vocabulary", 2, 10_000_000) ?? preset.vocabulary;
  const steps = wholeNumber(values, "steps", 1, 10_000_000) ?? preset.steps;
  const ranks = wholeNumber(values, "ranks", 1, 65536);
  const places = { ...(ranks === null ? {} : { ranks }), ...(flags.sharded ? { sharded: true } : {}) };
  const chosen = values.routers.flatMap((list) => list.split(",")).filter((name) => name !== "");
  if (values.routers.length > 0 && chosen.length === 0) {
    throw new RangeError(
      `Cannot use --routers "${values.routers.join(",")}": name at least one router, or "all"`,
    );
  }
  const everything = chosen.includes("all");
  const named = everything ? routers() : [...new Set(chosen)].map(findRouter);
  const size = { ...preset, ...experiment.size, ...places, vocabulary, steps };
  if (size.sharded && size.batch % size.ranks !== 0) {
    throw new RangeError(
      `Cannot shard text over ${size.ranks} ranks: choose --ranks that divide the ${size.batch} sequences of a batch`,
    );
  }
  const device = findDevice(last(values, "device") ?? "cpu");
  const blas = last(values, "blas") ?? "off";
  if (device === "webgpu" && blas !== "off") {
    throw new RangeError(`Cannot use --blas ${blas} with --device webgpu: BLAS computes on the CPU`);
  }
  return {
    experiment,
    routers: chosen.length > 0 ? named : null,
    plugins,
    settings: readSettings(values.set),
    seeds: wholeNumber(values, "seeds", 1, 1000) ?? 3,
    sizeName,
    size,
    steps,
    device,
    blas,
    precision: findPrecision(last(values, "precision") ?? "full", device),
    threads: wholeNumber(values, "threads", 1, 64),
    out: last(values, "out"),
    resume: flags.resume,
    text: last(values, "text"),
  };
}

/** @throws {RangeError} when there is none of that name. */
export function findExperiment(name: string): Experiment {
  const all: Experiment[] = Object.values(experiments);
  const found = all.find((experiment) => experiment.name === name);
  if (found) return found;
  throw new RangeError(
    `Cannot find experiment "${name}": there are ${
      all.map((experiment) => `"${experiment.name}"`).join(", ")
    }`,
  );
}

/** Whether the device can store it is looked at again when it is open: only then is it known what `auto` means. */
function findPrecision(name: string, device: DeviceName): Precision {
  const found = precisions.find((precision) => precision === name);
  if (!found) throw new RangeError(`Cannot use --precision ${name}: there are ${precisions.join(", ")}`);
  if (found === "half" && device === "cpu") {
    throw new RangeError(
      "Cannot use --precision half with --device cpu: only WebGPU stores 16-bit floats; add --device webgpu",
    );
  }
  return found;
}

/** `switch.capacityFactor=2` and the like, by router; values are checked by the router's own options. */
function readSettings(words: readonly string[]): Record<string, Record<string, unknown>> {
  const settings: Record<string, Record<string, unknown>> = {};
  for (const word of words) {
    const [, router, option, value] = word.match(/^([^.=]+)\.([^=]+)=(.*)$/) ?? [];
    if (value === undefined) {
      throw new RangeError(
        `Cannot use --set "${word}": write ROUTER.OPTION=VALUE, like switch.capacityFactor=2`,
      );
    }
    const known = optionNames(findRouter(router));
    if (known && !known.includes(option)) {
      const list = known.length === 0 ? "it has none" : `there are ${known.join(", ")}`;
      throw new RangeError(`Cannot set option "${option}" of router "${router}": ${list}`);
    }
    (settings[router] ??= {})[option] = readValue(value);
  }
  for (const [router, options] of Object.entries(settings)) parseOptions(findRouter(router), options);
  return settings;
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function last(values: Words["values"], name: string): string | null {
  const found = values[name].at(-1);
  if (found === "") throw new RangeError(`Cannot use --${name}: it needs a value`);
  return found ?? null;
}

function wholeNumber(values: Words["values"], name: string, least: number, most: number): number | null {
  const text = last(values, name);
  if (text === null) return null;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`Cannot use --${name} ${text}: choose a whole number from ${least} to ${most}`);
  }
  return value;
}

/** What `--help` prints. */
export function helpText(): string {
  const sizeNames = Object.keys(sizes).join(", ");
  return `Compares routers: trains one small MoE language model per router and seed, and writes a report.

  deno task experiments [EXPERIMENT] [options]

  --list             experiments, routers and their options, then stop
  --routers a,b      routers to compare, or "all" (default: the experiment's own and plugins)
  --set R.O=V        option O of router R, e.g. --set switch.capacityFactor=2 (repeatable)
  --plugin FILE      a router of your own: a module that exports a RouterPlugin (repeatable)
  --seeds N          runs per router (default 3; intervals need 2 or more)
  --steps N          training steps of a run (default: the size's)
  --size NAME        ${sizeNames} (default small)
  --text FILE        train on your own UTF-8 text instead of the Brown corpus
  --ranks N          ranks to lay the model out over, for routers and reports that look at places (default: the size's)
  --sharded          each rank trains on its own part of the text
  --vocabulary N     most words to number (default: the size's)
  --device NAME      cpu (default), webgpu, or auto: a GPU when there is one, else the CPU
  --precision NAME   full (default), or half: experts store what they multiply as f16 and add up in f32; routers and all
                     else stay f32 (WebGPU only)
  --threads N        CPU threads, 1 to 64 (default: all cores; results do not depend on it)
  --blas B           off (default), auto, or a library's path: products on the system's BLAS, several times faster;
                     the last bits of results then depend on the library
  --out DIR          folder for records and report (default results/EXPERIMENT, numbered when taken)
  --resume           continue what a stopped command left in its folder
  --help             this text
`;
}

/** What `--list` prints. */
export function listText(): string {
  const lines = ["Experiments:"];
  for (const { name, about } of Object.values(experiments)) lines.push(`  ${name.padEnd(18)} ${about}`);
  lines.push("", "Routers:");
  for (const router of routers()) {
    lines.push(`  ${router.name.padEnd(18)} ${router.about}`);
    const options = parseOptions(router) as Record<string, unknown>;
    for (const [option, value] of Object.entries(options)) {
      lines.push(`  ${"".padEnd(18)}   ${router.name}.${option}=${JSON.stringify(value)}`);
    }
  }
  lines.push("", "Sizes:");
  for (const [name, size] of Object.entries(sizes)) {
    lines.push(
      `  ${name.padEnd(18)} width ${size.width}, ${size.blocks} blocks, ${size.experts} experts, ` +
        `${size.batch} x ${size.length} tokens a step, ${size.vocabulary} words, ${size.steps} steps`,
    );
  }
  return lines.join("\n") + "\n";
}
