// The command as a user meets it: every experiment runs with the permissions of its task and leaves a whole set of
// files, and a run does not depend on threads, on what runs beside it, or on how its settings were said.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseHTML } from "linkedom";
import { stringify } from "smol-toml";
import { cpu } from "../cpu/backend.ts";
import { experts } from "../experts/registry.ts";
import * as experimentModules from "../experiments/mod.ts";
import { inspectLine } from "../cli/inspect.ts";
import { fromWhereTheUserStands } from "../cli/paths.ts";
import { experimentsLine } from "../cli/experiment_options.ts";
import { splitWords } from "../cli/options.ts";
import { stepBytes } from "../models/cost.ts";
import { controls } from "../models/controls.ts";
import { parseOptions, routers } from "../routers/registry.ts";
import { tasks } from "../tasks/registry.ts";
import { textData } from "../tasks/text.ts";
import { flatten, settingList } from "../training/config.ts";
import type { RunRecord } from "../training/record.ts";
import { parseRecord } from "../training/record_text.ts";
import { specOf } from "../training/spec_of.ts";
import { train } from "../training/train.ts";
import {
  assertRefused,
  experiments,
  experimentsFrom,
  experimentsInShell,
  filesIn,
  inFolder,
  succeed,
} from "./experiments_command.ts";
import { taskWords } from "./task_command.ts";
import { madeUpDataset, madeUpParagraphs, madeUpWords } from "./made_up_text.ts";
import { checkTables } from "./record_tables.ts";
import { tinyConfig } from "./run_configs.ts";

const all = Object.values(experimentModules);

/** One run of a router, and nothing beside it. */
const quick = [
  "--task",
  "language",
  "--size",
  "tiny",
  "--seeds",
  "1",
  "--routers",
  "switch",
  "--no-controls",
];

const place = await Deno.makeTempDir({ prefix: "switchyard " });
globalThis.addEventListener("unload", () => Deno.removeSync(place, { recursive: true }));
const text = `${place}/text.txt`;
await Deno.writeTextFile(text, madeUpParagraphs());

/** Texts of what a selector finds. */
function select(html: string, selector: string): string[] {
  const { document } = parseHTML(html) as unknown as {
    document: { querySelectorAll(selector: string): Iterable<{ textContent: string }> };
  };
  return Array.from(document.querySelectorAll(selector), ({ textContent }) => textContent.trim());
}

function reportOf(folder: string): string {
  return Deno.readTextFileSync(`${folder}/report.html`);
}

function recordsOf(folder: string): RunRecord[] {
  const lines = Deno.readTextFileSync(`${folder}/records.jsonl`);
  return lines.split(/(?=^\{"kind":"run")/m).map((text, at) => parseRecord(text, `run ${at}`));
}

/** Everything that must not depend on when, where and how fast a command ran. */
function recordFiles(folder: string): Map<string, string> {
  return new Map([...filesIn(folder)].filter(([path]) => /\.(jsonl|csv|parquet)$/.test(path)));
}

/** Reads everything a finished command left and checks that it fits together. */
async function checkResults(
  folder: string,
  { steps, seeds }: { steps: number; seeds: number },
): Promise<RunRecord[]> {
  const files = filesIn(folder);
  const runs = [...files.keys()].filter((path) => path.startsWith("runs/") && path.endsWith(".jsonl"));
  const beside = runs.flatMap((path) => ["timing.json", "json"].map((end) => path.replace(/jsonl$/, end)));
  const results = [
    "experiment.json",
    "records.csv",
    "records.jsonl",
    "records.parquet",
    "report.html",
    "report.json",
  ];
  assertEquals([...files.keys()].sort(), [...results, ...runs, ...beside].sort());

  const records = recordsOf(folder);
  const lines = files.get("records.jsonl")!;
  assertEquals(new Set(records.map(({ header }) => `runs/${header.run}.jsonl`)), new Set(runs));
  for (const { header, steps: rows, evaluations, end } of records) {
    assertStringIncludes(lines, files.get(`runs/${header.run}.jsonl`)!);
    assertEquals(JSON.parse(files.get(`runs/${header.run}.json`)!), header.config);
    assertEquals(JSON.parse(files.get(`runs/${header.run}.timing.json`)!).steps.length, steps);
    assertEquals(rows.map(({ step }) => step), Array.from({ length: steps }, (_, step) => step));
    assert(end, `${header.run} has no end`);
    for (const value of [end.loss, end.perplexity, ...rows.flatMap((row) => [row.loss, row.gradientNorm])]) {
      assert(Number.isFinite(value) && value > 0, `${header.run} holds ${value}`);
    }
    // The validation curve is of the tokens of the final loss, first step and last included.
    assertEquals([evaluations[0].step, evaluations.at(-1)!.step], [0, steps]);
    assertEquals(new Set(evaluations.map(({ tokens }) => tokens)).size, 1);
    assertEquals(evaluations.at(-1)!.loss, end.loss);
    for (const { kept, wanted } of rows.flatMap(({ layers }) => layers)) {
      assert(kept.every((count, expert) => count <= wanted[expert]), "more kept than wanted");
    }
  }
  const starts = Map.groupBy(
    records.filter(({ header }) => !header.control && header.config!.model.equalCost),
    ({ header }) => JSON.stringify([header.task, header.setting, header.seed]),
  );
  for (const [key, group] of starts) {
    assertEquals(new Set(group.map(({ header }) => header.initialWeights)).size, 1, key);
    assertEquals(new Set(group.map(({ header }) => header.activeFlopPerToken)).size, 1, key);
  }
  assertEquals(new Set(records.map(({ header }) => header.seed)).size, seeds);

  await checkTables(
    Deno.readTextFileSync(`${folder}/records.csv`),
    Deno.readFileSync(`${folder}/records.parquet`),
  );
  const html = reportOf(folder);
  assertEquals(select(html, "iframe, img, link"), []);
  // One, which tells values to pointers.
  assertEquals(select(html, "script").length, 1);
  assert(!/url\(|@import/.test(html), "the report fetches something");
  assert(!/NaN|undefined|Infinity/.test(select(html, "body")[0]), "the report shows what does not exist");
  return records;
}

/** A dense model that a command kept, for the experiment that starts from one. */
async function denseModel(words: readonly string[]): Promise<string> {
  const dense = ["--routers", "switch", "--set", "model.moeEvery=0", "--save", "--out", `${place}/dense`];
  await succeed("compare", ...words, ...dense);
  return `${place}/dense`;
}

for (const { name, about, tasks } of all) {
  Deno.test(`${name} runs from words to report with the permissions of its task`, async () => {
    const known = tasks.map(({ settings }) => settings["task.name"]);
    const task = known.includes("recall") ? ["recall"] : ["language", "--text", text];
    const words = ["--size", "tiny", "--steps", "3", "--seeds", "1", "--no-controls", "--task", ...task];
    const from = name === "upcycling" ? ["--set", `train.from=${await denseModel(words)}`] : [];
    const out = await succeed(name, ...words, ...from, "--out", `${place}/${name}`);
    const records = await checkResults(`${place}/${name}`, { steps: 3, seeds: 1 });
    assert(records.length > 1, "it compares nothing");
    assertStringIncludes(out, about);
    assertMatch(out, /^run 1\/\d+ \S+-seed0 {2}step 1\/3 {2}loss \d+\.\d{3} {2}\d+ tokens\/s {2}\S+ left$/m);
  });
}

const setupSection = 'section[aria-labelledby="setup"]';
const acceptance = ["--set", "train.learningRate=1e-3,3e-3", "--set", "model.experts=4,16"];
const settings = [0.001, 0.003].flatMap((rate) =>
  [4, 16].map((count) => `train.learningRate=${rate} model.experts=${count}`)
);

Deno.test("lists of values make arms, each beside its controls, and Setup says what differs", async () => {
  const words = ["--routers", "switch", "--size", "tiny", "--task", "language", "--seeds", "2"];
  const out = await succeed(
    ...acceptance,
    ...words,
    "--steps",
    "2",
    "--text",
    text,
    "--out",
    `${place}/arms`,
  );
  const records = await checkResults(`${place}/arms`, { steps: 2, seeds: 2 });
  // Text has no best routing known.
  const held = controls.filter((control) => control !== "best known routing");
  const labels = settings.flatMap((setting) => ["switch", ...held].map((label) => `${label} ${setting}`));
  assertEquals(records.map(({ header }) => header.router), [...labels, ...labels]);
  assertEquals([...new Set(records.map(({ header }) => header.setting))], settings);
  for (const { header: { config, setting } } of records) {
    const { model, train } = config!;
    assertEquals(`train.learningRate=${train.learningRate} model.experts=${model.experts}`, setting);
  }

  const html = reportOf(`${place}/arms`);
  const setup = select(html, `${setupSection} th`);
  assert(setup.includes("train.learningRate") && setup.includes("model.experts"), setup.join());
  const shared = ["train.batch", "model.width", "router.name", "train.steps"];
  for (const name of shared) assertEquals(setup.filter((title) => title === name).length, 1, name);
  for (const setting of settings) {
    assert(select(html, `${setupSection} th, ${setupSection} td`).includes(`switch ${setting}`), setting);
    assertStringIncludes(out, `language, ${setting}\n`);
  }
});

Deno.test("--vary changes one thing at a time", async () => {
  const vary = ["--vary", "train.learningRate=0.001,0.003", "--vary", "switch.jitter=0.01,0"];
  await succeed(...quick, ...vary, "--steps", "1", "--text", text, "--out", `${place}/vary`);
  const records = await checkResults(`${place}/vary`, { steps: 1, seeds: 1 });
  assertEquals(
    records.map(({ header: { config } }) => [config!.train.learningRate, config!.router.jitter]),
    [[0.001, 0.01], [0.003, 0.01], [0.001, 0]],
  );
});

const recall = [
  "--task",
  "recall",
  "--size",
  "tiny",
  "--routers",
  "switch,hash",
  "--seeds",
  "1",
  "--steps",
  "3",
];

Deno.test("runs side by side, on more threads, from a config file: the same bytes", async (test) => {
  const one = `${place}/one`;
  await succeed(...recall, "--jobs", "1", "--threads", "1", "--out", one);
  const records = await checkResults(one, { steps: 3, seeds: 1 });
  assertEquals(records.map(({ header }) => header.router), ["switch", "hash", ...controls]);
  const whole = recordFiles(one);

  await test.step("--jobs 2", async () => {
    await succeed(...recall, "--jobs", "2", "--out", `${place}/two`);
    assertEquals(recordFiles(`${place}/two`), whole);
  });
  await test.step("--threads 2, stopped and resumed by a finished command", async () => {
    await succeed(...recall, "--jobs", "1", "--threads", "2", "--out", `${place}/threads`);
    assertEquals(recordFiles(`${place}/threads`), whole);
    await succeed(...recall, "--resume", "--out", `${place}/threads`);
    assertEquals(recordFiles(`${place}/threads`), whole);
  });
  for (const run of ["switch-seed0", "hash-seed0", "no-experts-seed0", "best-known-routing-seed0"]) {
    await test.step(`--config of ${run}`, async () => {
      const words = ["--size", "tiny", "--seeds", "1", "--no-controls"];
      const path = `${one}/runs/${run}.json`;
      const out = `${place}/again ${run}`;
      const said = await succeed("--config", path, ...words, "--out", out);
      const alone = "No router has a finished run, so controls stand alone and nothing is compared.";
      assertEquals(said.includes(alone), !/switch|hash/.test(run));
      assert(!/NaN|undefined|Infinity/.test(select(reportOf(out), "body")[0]));
      const again = recordFiles(out);
      const tables = ["csv", "jsonl", "parquet"].map((kind) => `records.${kind}`);
      assertEquals([...again.keys()].sort(), [...tables, `runs/${run}.jsonl`]);
      assertEquals(again.get(`runs/${run}.jsonl`), whole.get(`runs/${run}.jsonl`));
      assertEquals(filesIn(out).get(`runs/${run}.json`), Deno.readTextFileSync(path));
    });
  }
  await test.step("--config in TOML, its router's options with it, and --set over it", async () => {
    const config = { ...JSON.parse(Deno.readTextFileSync(`${one}/runs/switch-seed0.json`)), seed: 4 };
    config.router.jitter = 0.25;
    const given = Object.entries(flatten(config)).filter(([, value]) => value !== null);
    const nested: Record<string, Record<string, unknown> | unknown> = {};
    for (const [path, value] of given) {
      const [section, name] = path.split(".");
      if (name === undefined) nested[section] = value;
      else nested[section] = { ...nested[section] as Record<string, unknown>, [name]: value };
    }
    await Deno.writeTextFile(`${place}/run.toml`, stringify(nested));
    const words = ["--seeds", "1", "--no-controls", "--set", "switch.balance=0.5", "--steps", "2"];
    await succeed("--config", `${place}/run.toml`, ...words, "--out", `${place}/toml`);
    const [{ header }] = await checkResults(`${place}/toml`, { steps: 2, seeds: 1 });
    assertEquals(header.config, {
      ...config,
      router: { ...config.router, balance: 0.5 },
      train: { ...config.train, steps: 2 },
    });
  });
});

Deno.test("without controls the report says so and ranks nothing; --baseline names another", async () => {
  const words = ["--task", "recall", "--size", "tiny", "--routers", "switch,hash", "--seeds", "2"];
  const out = await succeed(
    ...[...words, "--steps", "2", "--no-controls", "--baseline", "hash", "--out", `${place}/baseline`],
  );
  const records = await checkResults(`${place}/baseline`, { steps: 2, seeds: 2 });
  assert(records.every(({ header }) => header.control === undefined));
  const sentence = "it lacks the controls “no experts”";
  for (const shown of [out, select(reportOf(`${place}/baseline`), "body")[0]]) {
    assertStringIncludes(shown, sentence);
    assertStringIncludes(shown, "(left out by --no-controls)");
    assertStringIncludes(shown, "Loss − hash");
  }
});

Deno.test("--experts and experts.OPTION reach the experts", async () => {
  const words = [...quick, "--steps", "1", "--text", text];
  await succeed(...words, "--experts", "swiglu", "--out", `${place}/swiglu`);
  const [swiglu] = await checkResults(`${place}/swiglu`, { steps: 1, seeds: 1 });
  assertEquals(swiglu.header.config!.experts.name, "swiglu");
  await succeed(...words, "--set", "experts.activation=gelu,relu", "--out", `${place}/gelu`);
  const [gelu, relu] = await checkResults(`${place}/gelu`, { steps: 1, seeds: 1 });
  assertEquals(gelu.header.config!.experts.activation, "gelu");
  assert(gelu.end!.loss !== relu.end!.loss && gelu.end!.loss !== swiglu.end!.loss);
  assertEquals(gelu.header.parameters.total * 1, relu.header.parameters.total);
  assert(swiglu.header.parameters.total > relu.header.parameters.total);
});

Deno.test("a run that diverges is left out with a sentence, the others finish, and the status is 1", async () => {
  const words = ["--task", "language", "--size", "tiny", "--seeds", "1", "--no-controls", "--text", text];
  const { code, out, error } = await experiments(
    ...[...words, "--routers", "switch,gshard,hash", "--set", "gshard.balance=1e38", "--steps", "5"],
    ...["--out", `${place}/failing`],
  );
  assertEquals([code, error], [1, ""]);
  assertEquals(recordsOf(`${place}/failing`).map(({ header }) => header.router), ["switch", "hash"]);
  const sentence =
    /Run gshard-seed0 is left out: Cannot go on with gshard-seed0: at step 0 the loss is .+NaN\./;
  assertMatch(out, sentence);
  assertMatch(select(reportOf(`${place}/failing`), "body")[0], sentence);
});

Deno.test("a small setting says that nothing can be told, and ranks nothing", async () => {
  const words = ["--task", "language", "--size", "tiny", "--steps", "20", "--seeds", "2"];
  const few = ["--set", "train.evaluations=1", "--set", "train.evaluationBatches=4"];
  const out = await succeed(...words, ...few, "--routers", "switch,hash", "--out", `${place}/small`);
  const records = await checkResults(`${place}/small`, { steps: 20, seeds: 2 });
  const [{ header, end }] = records;
  assertEquals(header.data.corpus, "brown");
  assertEquals(end!.specialisation[0].labels.map(({ name }) => name), ["part of speech", "genre"]);
  const sentence = "On language, this setting cannot tell routers apart: experts are worth ";
  for (const shown of [out, select(reportOf(`${place}/small`), "body")[0]]) {
    assertStringIncludes(shown, sentence);
    assertStringIncludes(shown, "So nothing about routers is ranked.");
    assert(!/ is (better|worse) than /.test(shown), "a router is ranked");
  }
});

Deno.test("--routers all takes every router there is, beside switch", async () => {
  const words = ["--size", "tiny", "--steps", "1", "--seeds", "1", "--text", text, "--no-controls"];
  const out = await succeed("--routers", "all", ...words, "--out", `${place}/all`);
  const records = await checkResults(`${place}/all`, { steps: 1, seeds: 1 });
  assertEquals(records.map(({ header }) => header.plugin), routers().map(({ name }) => name));
  assertStringIncludes(out, "Loss − switch");
});

Deno.test("a router whose options see later tokens is said to, as any other", async () => {
  const orders = ["position", "probability", "batch-priority"];
  const words = [...quick, "--steps", "1", "--set", `switch.dropOrder=${orders}`, "--text", text];
  const out = await succeed(...words, "--out", `${place}/orders`);
  const records = await checkResults(`${place}/orders`, { steps: 1, seeds: 1 });
  assertEquals(records.map(({ header }) => header.causal), [true, false, false]);
  const [first, ...others] = orders.map((order) => `switch switch.dropOrder=${order}`);
  for (const shown of [out, select(reportOf(`${place}/orders`), "body")[0]]) {
    assertStringIncludes(shown, `${others.join(" and ")} are not causal: `);
    assert(!shown.includes(`${first} is not causal`));
  }
});

Deno.test("--list and --help name everything there is", async () => {
  const list = await succeed("--list");
  const data = JSON.parse(await succeed("--list", "--json"));
  assertEquals(data.routers.map(({ name }: { name: string }) => name), routers().map(({ name }) => name));
  assert(data.settings.some(({ path }: { path: string }) => path === "train.steps"));
  assertRefused(await experiments("--json"), ["--json without --list", "deno task compare"], "--json");
  const named = [...all, ...tasks(), ...routers(), ...experts()];
  for (const { name, about } of named) assertStringIncludes(list, `  ${name.padEnd(18)} ${about}\n`);
  for (const router of routers()) {
    for (const [option, value] of Object.entries(parseOptions(router) as Record<string, unknown>)) {
      assertStringIncludes(list, ` ${router.name}.${option}=${JSON.stringify(value)}`);
    }
  }
  for (const { path, default: value, description, range } of settingList()) {
    if (!/^(model|train|placement)\./.test(path)) continue;
    assert(description.length > 3, path);
    assertMatch(list, new RegExp(`^  ${path}=\\S+ +\\S`, "m"), path);
    assertStringIncludes(list, `${path}=${JSON.stringify(value)}`);
    assertStringIncludes(list, ` ${description} (${range})\n`);
  }
  for (const { name, sizes } of tasks()) {
    assertStringIncludes(list, `  sizes of ${name}: ${Object.keys(sizes).join(", ")}\n`);
  }
  const help = await succeed("--help");
  const { error } = await experiments("--unknown");
  const known = error.match(/--[a-z-]+/g)!.filter((option) => option !== "--unknown");
  assert(known.length >= 25, error);
  for (const option of known) assertMatch(help, new RegExp(`^  ${option}\\b`, "m"));
});

Deno.test("paths are taken from where the user stands", async () => {
  const stand = `${place}/stand`;
  await Deno.mkdir(stand);
  await Deno.copyFile(text, `${stand}/mine.txt`);
  const up = (path: string) => "../".repeat(20) + path.slice(1);
  // Below the root, `deno task` starts in the root's folder and says where it was called.
  const { code, out, error } = await experimentsFrom(
    "tests",
    ...[...quick, "--steps", "1", "--text", up(`${stand}/mine.txt`), "--out", up(`${stand}/out`)],
  );
  assertEquals([code, error], [0, ""]);
  assertStringIncludes(out, `Report: ${stand}/out/report.html`);
  const [{ header }] = await checkResults(`${stand}/out`, { steps: 1, seeds: 1 });
  assertEquals(header.config!.task.corpus, `${stand}/mine.txt`);
  const words = splitWords([
    "--text",
    "brown",
    "--out=brown",
    "--plugin=npm:x",
    "--plugin=x.ts",
    "--config",
    "/c.json",
    "--blas",
    "./lib/blas.so",
  ], experimentsLine);
  const { text: corpus, out: folder, plugin, config } =
    fromWhereTheUserStands(words, experimentsLine, "/mine").values;
  assertEquals([corpus, folder, config], [["brown"], ["/mine/brown"], ["/c.json"]]);
  assertEquals(plugin, ["npm:x", "/mine/x.ts"]);
  assertEquals(fromWhereTheUserStands(words, experimentsLine, "/mine").values.blas, ["/mine/lib/blas.so"]);
  const blas = splitWords(["--blas=auto"], experimentsLine);
  assertEquals(fromWhereTheUserStands(blas, experimentsLine, "/mine"), blas);
  const routed = splitWords(["run", "--text", "a text, no path", "--out", "page.html"], inspectLine);
  const { text: toRoute, out: pageFile } = fromWhereTheUserStands(routed, inspectLine, "/mine").values;
  assertEquals([toRoute, pageFile], [["a text, no path"], ["/mine/page.html"]]);
  assertEquals(fromWhereTheUserStands(words, experimentsLine, null), words);
  const missing = await experimentsFrom("tests", ...quick, "--text", "not_there.txt");
  assertRefused(missing, [`tests/not_there.txt"`], "a text that is not where the user stands");
});

const canScript = await new Deno.Command("script", { args: ["-qec", "true", "/dev/null"], stdin: "null" })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name: "a terminal sees one live line, and gets its cursor back when stopped (needs the program script)",
  ignore: !canScript,
  fn: () =>
    inFolder(async (folder) => {
      const tiny = "--routers switch --no-controls --jobs 1 --size tiny --steps 3000 --seeds 1 --text";
      const child = new Deno.Command("script", {
        // The shell tells its process number, which is the command's own after exec.
        args: [
          "-qec",
          `echo "pid $$"; exec $DENO ${tiny} '${folder}/text.txt' --out '${folder}/out'`,
          "/dev/null",
        ],
        cwd: new URL("../", import.meta.url),
        env: {
          DENO: [Deno.execPath(), ...taskWords("experiments")].join(" "),
          NO_COLOR: "1",
          SHELL: "/bin/sh",
        },
        stdin: "null",
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let shown = "";
      while (!/loss \d.* left/.test(shown)) shown += (await reader.read()).value ?? "";
      Deno.kill(Number(shown.match(/pid (\d+)/)![1]), "SIGINT");
      for (let part = await reader.read(); !part.done; part = await reader.read()) shown += part.value;
      await child.status;
      assertMatch(
        shown,
        /\d+% {2}run 1\/\d+ switch-seed0 {2}step \d+\/3000 {2}loss \d\.\d{3} {2}\d+ tokens\/s {2}\S+ left/,
      );
      assert(!/^run \d/m.test(shown), "a terminal gets plain lines too");
      const [hidden, back] = ["\u001b[?25l", "\u001b[?25h"];
      assert(shown.lastIndexOf(hidden) >= 0, "the cursor was never hidden");
      assert(shown.lastIndexOf(back) > shown.lastIndexOf(hidden), "the cursor stays hidden");
      assertStringIncludes(shown.slice(shown.lastIndexOf(back)), "Stopped. To go on: deno task experiments ");
    }),
});

const mount = new Deno.Command("unshare", { args: ["-m", "mount", "-t", "tmpfs", "none", "/tmp"] });
const canMount = await mount.output().then(({ success }) => success, () => false);

/** Runs the command on a disk of its own, mounted at `folder`/disk. */
async function onDisk(folder: string, options: string, then: string) {
  await Deno.mkdir(`${folder}/disk`, { recursive: true });
  const script = `mount -t tmpfs -o ${options} none "${folder}/disk" && "$@"; code=$?; ${then}; exit $code`;
  const words = [...quick, "--steps", "60", "--text", `${folder}/text.txt`];
  return await experimentsInShell(
    ["unshare", "-m", "sh", "-c"],
    script,
    [...words, "--out", `${folder}/disk/out`],
  );
}

Deno.test({
  name: "a full or read-only disk is named before any training (needs the right to mount)",
  ignore: !canMount,
  fn: () =>
    inFolder(async (folder) => {
      const full = await onDisk(folder, "size=500k", `find "${folder}/disk" -type f`);
      assertRefused(full, [`${folder}/disk/out/runs`, "no space left on the disk", "needs "], "full");
      assert(!full.out.includes(`${folder}/disk/out/`), "a file was left on the full disk");
      const readOnly = await onDisk(folder, "ro", "true");
      assertRefused(readOnly, [`${folder}/disk/out`, "the disk is read-only"], "read-only");

      // What it asks for is enough: checkpoints, records and report of the whole run fit.
      const [, mebibytes] = full.error.match(/needs ([\d.]+) MiB/)!;
      const kibibytes = Math.ceil((Number(mebibytes) + 0.05) * 1024);
      const enough = await onDisk(folder, `size=${kibibytes}k`, `ls "${folder}/disk/out"`);
      assertEquals([enough.code, enough.error], [0, ""]);
      assertStringIncludes(enough.out, "report.html");
    }),
});

Deno.test("the memory a size is refused for is a lower bound of what training takes", async () => {
  const data = await textData(madeUpDataset({ words: 3000, wordsEach: 4000, vocabulary: 2500 }));
  for (const router of routers()) {
    const backend = await cpu({ threads: 1 });
    const before = backend.statistics().carvedBytes;
    const config = tinyConfig(router, {}, { "train.steps": 1 });
    using _run = await train(config, { backend, data });
    const taken = backend.statistics().carvedBytes - before;
    const { least } = stepBytes(specOf(config, data), config.train.batch * config.train.length);
    assert(taken >= least, `${router.name} took ${taken} bytes, below the bound of ${least}`);
    backend.close();
  }
  assertEquals(madeUpWords(), madeUpWords(), "made-up text differs from call to call");
});
