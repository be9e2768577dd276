// The words of the command line, split into names, values and flags. Options that stand for a path of a run's config are
// declared here once.
import { parseArgs } from "@std/cli/parse-args";

/** Words split into names and values; nothing is looked up yet. */
export interface Words {
  readonly names: readonly string[];
  readonly values: Readonly<Record<string, readonly string[]>>;
  readonly flags: Readonly<Record<string, boolean>>;
}

/** A short option's path in a config, and the whole numbers it takes, if it takes one. */
interface ShortPath {
  readonly path: string;
  readonly about: string;
  readonly least?: number;
  readonly most?: number;
}

/** Short options by name; `sharded` is a flag. */
export const shortPaths: Readonly<Record<string, ShortPath>> = {
  steps: { path: "train.steps", about: "training steps of a run", least: 1, most: 10_000_000 },
  experts: { path: "experts.name", about: "kind of expert" },
  text: { path: "task.corpus", about: "train on your own UTF-8 text or folder of texts (task language)" },
  vocabulary: { path: "task.vocabulary", about: "most words to number", least: 2, most: 10_000_000 },
  ranks: { path: "placement.ranks", about: "ranks to lay the model out over", least: 1, most: 65536 },
  sharded: { path: "placement.sharded", about: "each rank trains on its own part of the text" },
  precision: {
    path: "experts.precision",
    about: "full, or half: experts store what they multiply as f16 and add up in f32 (WebGPU only)",
  },
};

/** Options with a value, beside the short paths, and what they do. */
export const valueOptions: Readonly<Record<string, string>> = {
  task: "tasks to compare on (default: the experiment's own)",
  routers: 'routers to compare, or "all" (default: the experiment\'s own and plugins)',
  set:
    "set PATH=VALUE of every run, or ROUTER.OPTION=VALUE of one router; a list of values makes arms (repeatable)",
  vary: "like --set, but changes one setting at a time instead of crossing the lists (repeatable)",
  config: "start from a run's config in JSON or TOML; --set and the other options go over it",
  plugin: "a module of yours that exports routers, kinds of experts or tasks (repeatable)",
  tune:
    "settings to search for every variant with one budget, like train.learningRate,router.balance=0.001..0.1",
  budget: "trials of each variant with --tune (default 8)",
  baseline: "variant that others are compared with (default switch, where it takes part)",
  seeds: "runs per variant (default 5; intervals need 2 or more)",
  size: "named size of the tasks (--list shows them)",
  depth:
    "one dial: width, heads, experts' width, learning rate, batch and steps that follow from this many layers",
  device: "cpu (default), webgpu, or auto: a GPU when there is one, else the CPU",
  threads: "CPU threads of a run, 1 to 64 (default: cores over jobs; results do not depend on it)",
  jobs: "runs side by side, on the CPU (default: one a core; results do not depend on it)",
  blas:
    "off (default), auto, or a library's path: products on the system's BLAS; last bits then depend on the library",
  out: "folder for records and report (default results/EXPERIMENT, numbered when taken)",
};

/** Options without a value. */
export const flagOptions: Readonly<Record<string, string>> = {
  "no-controls": "leave out the controls; the report then cannot say what routing is worth",
  resume: "continue what a stopped command left in its folder",
  list: "experiments, tasks, routers, experts and every setting, then stop",
  help: "this text",
};

const strings = [
  ...Object.keys(valueOptions),
  ...Object.keys(shortPaths).filter((name) => name !== "sharded"),
];
const booleans = [...Object.keys(flagOptions), "sharded"];

/** A negative number after an option is its value: `--seeds -1` is to be refused for the number. */
function withNegatives(words: readonly string[]): string[] {
  const isNegative = (word: string | undefined) => word !== undefined && /^-[\d.]/.test(word);
  const takesValue = (word: string | undefined) => word?.startsWith("--") && strings.includes(word.slice(2));
  return words.flatMap((word, at) => {
    if (isNegative(word) && takesValue(words[at - 1])) return [];
    return takesValue(word) && isNegative(words[at + 1]) ? [`${word}=${words[at + 1]}`] : [word];
  });
}

/** Splits the command line. @throws {RangeError} for an option that does not exist. */
export function splitWords(words: readonly string[]): Words {
  const unknown: string[] = [];
  const parsed = parseArgs(withNegatives(words), {
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

/** Options that may be given more than once. */
const repeatable = new Set(["set", "vary", "plugin", "routers", "task"]);

/** The one value of an option, or null. @throws {RangeError} when it is empty, or given twice. */
export function last(values: Words["values"], name: string): string | null {
  const given = values[name];
  if (given.length > 1 && !repeatable.has(name)) {
    throw new RangeError(`Cannot use --${name} ${given.at(-1)}: it was ${given[0]} before; give it once`);
  }
  const found = given.at(-1);
  if (found === "") throw new RangeError(`Cannot use --${name}: it needs a value`);
  return found ?? null;
}

/** A whole number within bounds, or null. @throws {RangeError} when it is none, or out of bounds. */
export function wholeNumber(
  values: Words["values"],
  name: string,
  least: number,
  most: number,
): number | null {
  const text = last(values, name);
  if (text === null) return null;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`Cannot use --${name} ${text}: choose a whole number from ${least} to ${most}`);
  }
  return value;
}
