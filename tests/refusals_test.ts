// Whatever the command cannot do is refused in one sentence that names the value found and what there is instead, before
// any training, and nothing is written.
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { readCommand } from "../cli/command.ts";
import * as experimentModules from "../experiments/mod.ts";
import { outlineRuns } from "../cli/plan_runs.ts";
import { experimentsLine } from "../cli/experiment_options.ts";
import { splitWords } from "../cli/options.ts";
import { sizes } from "../models/sizes.ts";
import { routers } from "../routers/registry.ts";
import { assertRefused, experiments, filesIn, inFolder, succeed } from "./experiments_command.ts";

const all = Object.values(experimentModules);

/** What a command comes to before a task is loaded, as the command itself does it. */
function outline(words: readonly string[], file: Record<string, unknown> | null = null) {
  return outlineRuns(
    readCommand(splitWords(words, experimentsLine), { routers: [], experts: [], tasks: [] }, file),
  );
}

interface Mistake {
  readonly about: string;
  readonly words: readonly string[];
  /** What the sentence must name: the value found, and what there is instead. */
  readonly named: readonly string[];
}

const everyRouter = routers().map(({ name }) => `"${name}"`);
const language = ["--task", "language", "--size", "tiny"];
const needValues = [
  "size",
  "seeds",
  "steps",
  "threads",
  "vocabulary",
  "out",
  "text",
  "precision",
  "experts",
  "depth",
]
  .concat("baseline", "jobs", "ranks", "device", "blas");
const mistakes: readonly Mistake[] = [
  {
    about: "an unknown experiment",
    words: ["compair"],
    named: ['"compair"', ...all.map(({ name }) => name)],
  },
  { about: "two experiments", words: ["compare", "capacity-factor"], named: ['"compare capacity-factor"'] },
  {
    about: "an unknown router",
    words: ["--routers", "switch,topk"],
    named: ['router "topk"', ...everyRouter],
  },
  { about: "no router", words: ["--routers", ","], named: ['--routers ","', '"all"'] },
  {
    about: "all routers and one more",
    words: ["--routers", "all,switch"],
    named: ["all,switch", '"all" alone'],
  },
  {
    about: "a router twice",
    words: ["--routers", "switch,switch"],
    named: ["switch,switch", "--set switch.capacityFactor=1,2"],
  },
  { about: "a router in two words", words: ["--routers", "hash", "--routers", "hash"], named: ["hash,hash"] },
  { about: "a task twice", words: ["--task", "recall,recall"], named: ["recall,recall", "--set task."] },
  { about: "an unknown task", words: ["--task", "recal"], named: ['"recal"', '"recall"', '"language"'] },
  { about: "a size there is not", words: ["--size", "huge"], named: ['"huge"', ...Object.keys(sizes)] },
  { about: "size and depth", words: ["--size", "tiny", "--depth", "4"], named: ["--depth 4", "--size tiny"] },
  { about: "experts there are not", words: ["--experts", "swigloo"], named: ['"swigloo"', '"swiglu"'] },
  {
    about: "a setting twice",
    words: ["--set", "train.steps=5", "--set", "train.steps=6"],
    named: ["train.steps=5"],
  },
  {
    about: "a setting in two ways",
    words: ["--steps", "5", "--set", "train.steps=6"],
    named: ["--set train.steps=6", "--steps 5"],
  },
  {
    about: "a setting fixed and varied",
    words: ["--set", "model.experts=3", "--vary", "model.experts=2,4"],
    named: ["--vary model.experts=2,4", "--set model.experts=3"],
  },
  {
    about: "a value twice",
    words: ["--set", "train.steps=2,2"],
    named: ["train.steps=2,2", "2 is in its list twice"],
  },
  { about: "a setting without a value", words: ["--set", "train.steps="], named: ["train.steps=", "value"] },
  {
    about: "a setting there is not",
    words: ["--set", "train.stpes=5"],
    named: ["train.stpes", "steps", "batch"],
  },
  { about: "half a --set", words: ["--set", "switch"], named: ['--set "switch"', "PATH=VALUE"] },
  { about: "half a --vary", words: ["--vary", "a"], named: ['--vary "a"', "PATH=VALUE"] },
  { about: "a whole section", words: ["--set", "train=3"], named: ["train=3", "train.steps=60"] },
  { about: "a seed", words: ["--set", "seed=3"], named: ["seed", "--seeds"] },
  { about: "a control", words: ["--set", "control=random"], named: ["control", "--no-controls"] },
  { about: "any router", words: ["--set", "router.jitter=0"], named: ["router.jitter", "--routers"] },
  {
    about: "--set for an unknown router",
    words: ["--set", "topk.k=2"],
    named: ['router "topk"', "train", "model"],
  },
  {
    about: "a router without that option",
    words: ["--set", "hash.size=2"],
    named: ['Cannot set size of router "hash"', "table"],
  },
  {
    about: "--set for a router that takes no part",
    words: ["--routers", "switch", "--set", "hash.table=random"],
    named: ['"hash"', '"switch"', "--routers"],
  },
  {
    about: "an option below its range",
    words: ["--set", "switch.capacityFactor=-1"],
    named: ['"switch"', "capacityFactor = -1", ">0"],
  },
  {
    about: "an option above its range",
    words: ["--set", "switch.jitter=1.5"],
    named: ["jitter = 1.5", "<=1"],
  },
  {
    about: "an option of another kind",
    words: ["--set", "switch.jitter=much"],
    named: ['jitter = "much"', "number"],
  },
  {
    about: "a choice there is not",
    words: ["--set", "hash.table=perfect"],
    named: ['"perfect"', '"random"', '"balanced"'],
  },
  {
    about: "an option of experts there is not",
    words: ["--set", "experts.nope=1"],
    named: ['nope = 1 of experts "feed-forward"', "activation"],
  },
  {
    about: "an activation there is not",
    words: ["--set", "experts.activation=gello"],
    named: ['"gello"', '"gelu"'],
  },
  {
    about: "an option of a task there is not",
    words: [...language, "--set", "task.nope=1"],
    named: ["nope = 1"],
  },
  {
    about: "a text for a task without texts",
    words: ["--task", "recall", "--text", "a.txt"],
    named: ['corpus = "a.txt" of task "recall"', "facts"],
  },
  {
    about: "--set of what an experiment varies",
    words: ["capacity-factor", "--set", "switch.capacityFactor=2"],
    named: ["switch.capacityFactor", "1.25"],
  },
  { about: "an unknown option", words: ["--seed", "3"], named: ['"--seed"', "--seeds", "--steps"] },
  { about: "a short option", words: ["-s", "3"], named: ['"-s"', "--seeds"] },
  ...[
    "seeds=0",
    "seeds=-1",
    "seeds -1",
    "seeds=1.5",
    "seeds=many",
    "steps=0",
    "threads=0",
    "vocabulary=1",
    "jobs=0",
  ]
    .concat("depth=1", "ranks=0").map((word) => ({
      about: `--${word}`,
      words: `--${word}`.split(" "),
      named: [`--${word.replace("=", " ")}:`, "a whole number from"],
    })),
  { about: "more threads than there can be", words: ["--threads", "65"], named: ["--threads 65", "to 64"] },
  { about: "a seed count twice", words: ["--seeds", "1", "--seeds", "2"], named: ["--seeds 2", "1", "once"] },
  { about: "a device there is not", words: ["--device", "gpu"], named: ["--device gpu", "webgpu"] },
  {
    about: "BLAS on WebGPU",
    words: ["--device", "webgpu", "--blas", "auto"],
    named: ["--blas auto", "webgpu"],
  },
  { about: "jobs on WebGPU", words: ["--device", "webgpu", "--jobs", "2"], named: ["--jobs 2", "webgpu"] },
  { about: "a precision there is not", words: ["--precision", "f16"], named: ["f16", "full", "half"] },
  {
    about: "half precision on the CPU",
    words: ["--precision", "half"],
    named: ["--precision half", "--device cpu", "--device webgpu"],
  },
  {
    about: "a baseline that takes no part",
    words: ["--baseline", "base"],
    named: ["--baseline base", '"switch"'],
  },
  {
    about: "heads that do not fit",
    words: [...language, "--set", "model.heads=3"],
    named: ["heads = 3", "32"],
  },
  {
    about: "ranks that do not fit",
    words: [...language, "--sharded", "--set", "placement.ranks=3"],
    named: ["placement.ranks = 3", "8 sequences"],
  },
  {
    about: "a layer's router there is not",
    words: ["--set", 'model.perLayer=[{"router":{"name":"x"}}]'],
    named: ['"x"'],
  },
  ...needValues.map((option) => ({
    about: `--${option} without a value`,
    words: [`--${option}`],
    named: [`--${option}`, "needs a value"],
  })),
];

Deno.test("what cannot be meant is refused in one sentence that names the value and the choices", () => {
  for (const { about, words, named } of mistakes) {
    const { message } = assertThrows(() => outline(words), RangeError, "", about) as RangeError;
    assertMatch(message, /^Cannot [^\n]+$/, about);
    for (const name of named) assertStringIncludes(message, name, about);
  }
  assert(outline([]).length >= 5, "the default command comes to nothing");
});

Deno.test("a config file is held to the same", () => {
  const files: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ train: { stpes: 5 } }, "Cannot set train.stpes = 5: did you mean steps? train has steps"],
    [{ train: { steps: "many" } }, 'Cannot use train.steps = "many"'],
    [{ nope: 1 }, "Cannot set nope = 1: a run has task"],
    [{ seed: -1 }, "Cannot use seed = -1"],
    [{ router: { jiter: 0 } }, 'Cannot set jiter = 0 of router "switch"'],
    [{ router: { name: "topk" } }, 'Cannot find router "topk"'],
  ];
  for (const [file, message] of files) assertThrows(() => outline([], file), RangeError, message);
  assertThrows(
    () => outline(["--routers", "hash"], { control: "no experts" }),
    RangeError,
    'Cannot use --routers hash: the config is of the control "no experts"',
  );
  const [{ studied: [[label, config]] }] = outline(["--task", "recall"], {
    router: { jitter: 0.5 },
    seed: 3,
  });
  assertEquals([label, config.router.jitter], ["switch", 0.5]);
  // Another router named on the command line has none of the file's options.
  const [{ studied }] = outline(["--task", "recall", "--routers", "hash"], { router: { jitter: 0.5 } });
  assertEquals(studied.map(([label]) => label), ["hash"]);
});

Deno.test("the command says a refusal alone, with status 1, and writes nothing", () =>
  inFolder(async (folder) => {
    const usual = ["--text", `${folder}/text.txt`, "--out", `${folder}/out`, "--size", "tiny"];
    const some: readonly (readonly [string[], string[]])[] = [
      [["--set", "a", "--set", "a"], ['--set "a"']],
      [["--seeds", "-1"], ["--seeds -1"]],
      [["--baseline", "nope"], ['"switch"']],
      [["--config", `${folder}/none.json`], [`${folder}/none.json`, "no such file"]],
      [["--config", `${folder}/text.txt`], [`${folder}/text.txt`, "JSON"]],
      [["--set", "train.length=1000"], ["windows of 1000 tokens", "1001"]],
      [["--set", "expert-choice.capacityFactor=0.125", "--routers", "expert-choice"], [
        '"expert-choice"',
        "0.125",
      ]],
      [["--set", "model.experts=1000000000"], ["GiB", "4.0 GiB"]],
    ];
    for (const [words, named] of some) {
      const outcome = await experiments(...usual, ...words);
      assertEquals(outcome.code, 1);
      assertRefused(outcome, named, words.join(" "));
    }
    assertEquals([...filesIn(folder).keys()], ["text.txt"], "a refused command wrote something");
  }));

Deno.test("an option that does not fit the batches ends its run before the first step, in one sentence", () =>
  inFolder(async (folder) => {
    const words = ["--text", `${folder}/text.txt`, "--out", `${folder}/out`, ...language, "--no-controls"];
    const { code, out, error } = await experiments(
      ...[
        ...words,
        "--seeds",
        "1",
        "--routers",
        "gshard",
        "--set",
        "gshard.groups=64",
        "--set",
        "train.length=31",
      ],
    );
    assertEquals(code, 1);
    assertEquals(
      error,
      "Run gshard-seed0 is left out: Cannot route with gshard: groups = 64 does not divide 248 tokens.\n",
    );
    assert(!/^run \d/m.test(out), "it trained first");
  }));

Deno.test("a text that cannot be trained on is refused before anything is written", () =>
  inFolder(async (folder) => {
    const texts: readonly (readonly [name: string, text: string | Uint8Array | null, ...named: string[]])[] =
      [
        ["blank.txt", " \n\n\t\n", "it holds no words"],
        ["short.txt", "One more.\n".repeat(30), "windows of 32 tokens", "at least 33 are needed"],
        ["bytes.bin", Uint8Array.of(0xFF, 0xFE, 0x00, 0x80), "it is not UTF-8 text"],
        ["missing.txt", null, "no file or folder of that name"],
        ["empty", null, "the folder holds no files"],
      ];
    await Deno.mkdir(`${folder}/empty`);
    for (const [name, text, ...named] of texts) {
      const path = `${folder}/${name}`;
      if (typeof text === "string") await Deno.writeTextFile(path, text);
      else if (text) await Deno.writeFile(path, text);
      const outcome = await experiments("--text", path, "--out", `${folder}/out`, "--size", "tiny");
      assertRefused(outcome, [path, ...named], name);
    }
    assertEquals([...filesIn(folder).keys()].filter((path) => path.startsWith("out")), []);
  }));

Deno.test("a plugin that is none is refused by name", () =>
  inFolder(async (folder) => {
    const taken = 'import { switchRouter } from "@switchyard/moe"; export const copy = { ...switchRouter };';
    const plugins = [
      ["missing.ts", null, "Module not found"],
      ["broken.ts", "export const x = ;", "SyntaxError"],
      ["throwing.ts", 'throw new Error("no luck\\nat all");', "no luck"],
      ["empty.ts", "export const x = 1;", "it exports no router, no kind of experts"],
      ["half.ts", 'export const x = { name: "half", create() {} };', "it has no about, no paper, no traits"],
      ["half_task.ts", 'export const x = { name: "half", load() {} };', "a task: it has no about, no source"],
      ["taken.ts", taken, '"switch": the name is taken'],
      ["shouting.ts", taken.replace("{ ...switchRouter }", '{ ...switchRouter, name: "A" }'), "kebab-case"],
    ] as const;
    for (const [name, source, reason] of plugins) {
      const path = `${folder}/${name}`;
      if (source !== null) await Deno.writeTextFile(path, source);
      const outcome = await experiments("--plugin", path, "--size", "tiny", "--out", `${folder}/out`);
      assertRefused(outcome, [path, reason], name);
    }
    assertEquals([...filesIn(folder).keys()].filter((path) => path.startsWith("out")), []);
  }));

Deno.test("results are never written over, and only what was started can be resumed", () =>
  inFolder(async (folder) => {
    const text = ["--text", `${folder}/text.txt`];
    const out = ["--out", `${folder}/out`];
    const alone = ["--size", "tiny", "--no-controls"];
    const started = [...alone, "--seeds", "2", "--routers", "switch", "--steps", "2"];
    const nothing = await experiments("--resume", ...started, ...text, ...out);
    assertRefused(nothing, ["resume", `${folder}/out`, "it holds no experiment"], "nothing to resume");
    await succeed(...started, ...text, ...out);
    const before = filesIn(`${folder}/out`);

    const again = await experiments(...started, ...text, ...out);
    assertRefused(again, [`${folder}/out`, "--resume", "--out"], "a taken folder");
    const small = ["--no-controls", "--seeds", "2", "--routers", "switch"];
    const others: readonly (readonly [string[], string])[] = [
      [[...alone, "--seeds", "2", "--routers", "switch", "--steps", "3"], "steps was 2 and is now 3"],
      [[...small, "--size", "small", "--steps", "2"], "size was tiny and is now small"],
      [
        [...started, "--set", "switch.capacityFactor=2"],
        "routerOptions.capacityFactor was 1.25 and is now 2",
      ],
      [[...started, "--vocabulary", "20"], "digest of its text or data was "],
      [
        ["capacity-factor", ...started],
        "it holds runs that this command does not ask for (switch-seed0, switch-seed1)",
      ],
      // A narrower command would leave the other seed out of the report that it writes over.
      [[...alone, "--seeds", "1", "--routers", "switch", "--steps", "2"], "does not ask for (switch-seed1)"],
    ];
    for (const [words, reason] of others) {
      assertRefused(await experiments(...words, ...text, ...out, "--resume"), [reason], words.join(" "));
    }
    const prose = await Deno.readTextFile(`${folder}/text.txt`);
    await Deno.writeTextFile(`${folder}/text.txt`, prose + "Baba.\n");
    const changed = await experiments(...started, ...text, ...out, "--resume");
    assertRefused(changed, ["Cannot resume", "digest of its text or data was "], "a text changed in between");
    assertEquals(filesIn(`${folder}/out`), before, "a refused command changed results");

    await Deno.writeTextFile(`${folder}/text.txt`, prose);
    const damage = ["experiment.json", "runs/switch-seed0.timing.json", "runs/switch-seed0.jsonl"];
    for (const path of damage) {
      const whole = before.get(path)!;
      await Deno.writeTextFile(`${folder}/out/${path}`, whole.slice(0, 40));
      const cut = await experiments(...started, ...text, ...out, "--resume");
      assertRefused(cut, [`${folder}/out/${path}`], `${path} cut short`);
      await Deno.writeTextFile(`${folder}/out/${path}`, whole);
    }
    await succeed(...started, ...text, ...out, "--resume");
  }));

Deno.test("a folder that cannot be written to is named before any training", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "kept");
    for (const out of [`${folder}/file`, `${folder}/file/deeper`]) {
      const outcome = await experiments("--size", "tiny", "--text", `${folder}/text.txt`, "--out", out);
      assertRefused(
        outcome,
        [`Cannot write results to ${out}: part of the path is a file, not a folder`],
        out,
      );
      assertEquals(outcome.out, "", "a task was loaded first");
    }
    const kept = await experiments("--size", "tiny", "--text", `${folder}/none.txt`, "--out", "/proc/x");
    assertRefused(kept, ["/proc/x"], "a folder of the system's own");
    assertEquals([...filesIn(folder).keys()].sort(), ["file", "text.txt"]);
  }));
