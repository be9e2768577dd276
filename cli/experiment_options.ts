// The command line of `deno task experiments`. Options that stand for a path of a run's config are declared here once.
import type { CommandLine, Option } from "./options.ts";

/** A short option's path in a config, and the whole numbers it takes, if it takes one. */
interface ShortPath {
  readonly path: string;
  readonly about: string;
  /** How help writes its value; absent for a flag. */
  readonly value?: string;
  readonly least?: number;
  readonly most?: number;
  readonly isPath?: true;
}

/** Short options by name; `sharded` is a flag. */
export const shortPaths: Readonly<Record<string, ShortPath>> = {
  steps: { path: "train.steps", about: "training steps of a run", value: "N", least: 1, most: 10_000_000 },
  experts: { path: "experts.name", about: "kind of expert", value: "NAME" },
  text: {
    path: "task.corpus",
    about: "train on your own UTF-8 text or folder of texts (task language)",
    value: "PATH",
    isPath: true,
  },
  tokenizer: {
    path: "task.unit",
    about: "train on the sub-words of a tokenizer.json (task language)",
    value: "PATH",
    isPath: true,
  },
  vocabulary: {
    path: "task.vocabulary",
    about: "most words to number, or most tokens of a tokenizer",
    value: "N",
    least: 2,
    most: 10_000_000,
  },
  from: {
    path: "train.from",
    about: "go on from a model that a run kept: its weights, and without --config its config too",
    value: "RUN",
    isPath: true,
  },
  teacher: {
    path: "train.teacher",
    about: "learn from the scores of a model that a run kept as well",
    value: "RUN",
    isPath: true,
  },
  ranks: {
    path: "placement.ranks",
    about: "ranks to lay the model out over",
    value: "N",
    least: 1,
    most: 65536,
  },
  sharded: { path: "placement.sharded", about: "each rank trains on its own part of the text" },
  precision: {
    path: "experts.precision",
    about: "full, or half: experts store what they multiply as f16 and add up in f32 (WebGPU only)",
    value: "NAME",
  },
  "checkpoint-activations": {
    path: "train.checkpointActivations",
    about: "none (default), recompute (less memory, the same bits), or half (kept as f16)",
    value: "HOW",
  },
};

const shortOptions: Record<string, Option> = Object.fromEntries(
  Object.entries(shortPaths).map(([name, { path, about, value, isPath }]) => [
    name,
    {
      about: `${about} (= --set ${path}=${value ?? "true"})`,
      ...(value === undefined ? {} : { value }),
      ...(isPath ? { isPath } : {}),
    },
  ]),
);

/** What `deno task experiments` takes. */
export const experimentsLine: CommandLine = {
  task: "experiments",
  about:
    "Compares routers beside controls: trains one small model per task, variant and seed, and writes a report.",
  operands: "[EXPERIMENT]",
  options: {
    task: { about: "tasks to compare on (default: the experiment's own)", value: "NAMES", repeatable: true },
    routers: {
      about: 'routers to compare, or "all" (default: the experiment\'s own and plugins)',
      value: "NAMES",
      repeatable: true,
    },
    set: {
      about:
        "set PATH=VALUE of every run, or ROUTER.OPTION=VALUE of one router; a list of values makes arms (repeatable)",
      value: "PATH=VALUE",
      repeatable: true,
    },
    vary: {
      about: "like --set, but changes one setting at a time instead of crossing the lists (repeatable)",
      value: "PATH=VALUE",
      repeatable: true,
    },
    config: {
      about: "start from a run's config in JSON or TOML; --set and the other options go over it",
      value: "FILE",
      isPath: true,
    },
    plugin: {
      about: "a module of yours that exports routers, kinds of experts or tasks (repeatable)",
      value: "FILE",
      isPath: true,
      repeatable: true,
    },
    tune: {
      about:
        "settings to search for every variant and control with one budget, like train.learningRate,router.balance=0.001..0.1",
      value: "PATHS",
    },
    budget: { about: "trials of each variant and control with --tune (default 8)", value: "N" },
    baseline: {
      about: "variant that others are compared with (default switch, where it takes part)",
      value: "NAME",
    },
    seeds: { about: "runs per variant (default 5; intervals need 2 or more)", value: "N" },
    size: { about: "named size of the tasks (--list shows them)", value: "NAME" },
    depth: {
      about:
        "one dial: width, heads, experts' width, learning rate, batch and steps that follow from this many layers",
      value: "N",
    },
    device: { about: "cpu (default), webgpu, or auto: a GPU when there is one, else the CPU", value: "NAME" },
    threads: {
      about: "CPU threads of a run, 1 to 64 (default: cores over jobs; results do not depend on it)",
      value: "N",
    },
    jobs: {
      about: "runs side by side, on the CPU (default: one a core; results do not depend on it)",
      value: "N",
    },
    blas: {
      about:
        "off (default), auto (the fastest there is), or a library's path: products on a BLAS; last bits then depend on it",
      value: "NAME",
      isPath: true,
    },
    out: {
      about: "folder for records and report (default results/EXPERIMENT, numbered when taken)",
      value: "FOLDER",
      isPath: true,
    },
    save: {
      about:
        "keep each run's model: of its last step, or of the lowest held-out loss (deno task sample uses it)",
      value: "last|best",
      alone: "last",
    },
    ...shortOptions,
    tensorboard: { about: "also write each run's scalars for TensorBoard, in the folder's tensorboard/" },
    "no-controls": { about: "leave out the controls; the report then cannot say what routing is worth" },
    open: { about: "serve the report to this machine, shown anew as runs end, until Ctrl-C" },
    resume: { about: "continue what a stopped command left in its folder" },
    list: { about: "experiments, tasks, routers, experts and every setting, then stop" },
    json: { about: "with --list: as JSON (of results: deno task compare RUN --json)" },
  },
  notes: [
    "Examples",
    "  deno task experiments --routers switch,hash --seeds 5",
    "  deno task experiments --task regimes --set switch.capacityFactor=1,2 --set train.learningRate=0.003,0.01",
    "  deno task experiments --plugin ./my_router.ts --routers my-router,switch",
  ],
};
