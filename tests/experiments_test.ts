// The command as a user meets it: every experiment runs with the permissions of its task and leaves a whole set of
// files, and whatever cannot be done is refused in one sentence before any training.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseHTML } from "linkedom";
import { cpu } from "../cpu/backend.ts";
import { leastBytes } from "../experiments/memory_check.ts";
import * as experimentModules from "../experiments/mod.ts";
import { sizes } from "../models/presets.ts";
import { parseOptions, routers } from "../routers/registry.ts";
import type { RunRecord } from "../training/record.ts";
import { parseRecord } from "../training/record_text.ts";
import { train } from "../training/train.ts";
import {
  assertRefused,
  experiments,
  experimentsInShell,
  filesIn,
  inFolder,
  succeed,
  taskWords,
} from "./experiments_command.ts";
import { madeUpDataset, madeUpWords } from "./made_up_text.ts";

const all = Object.values(experimentModules);

/** Texts of what a selector finds. */
function select(html: string, selector: string): string[] {
  const { document } = parseHTML(html) as unknown as {
    document: { querySelectorAll(selector: string): Iterable<{ textContent: string }> };
  };
  return Array.from(document.querySelectorAll(selector), ({ textContent }) => textContent.trim());
}

/** Reads everything a finished command left and checks that it fits together. */
function checkResults(folder: string, { steps, seeds }: { steps: number; seeds: number }): RunRecord[] {
  const files = filesIn(folder);
  const runs = [...files.keys()].filter((path) => path.startsWith("runs/") && path.endsWith(".jsonl"));
  const timings = runs.map((path) => path.replace(/jsonl$/, "timing.json"));
  const results = ["experiment.json", "records.csv", "records.jsonl", "report.html"];
  assertEquals([...files.keys()].sort(), [...results, ...runs, ...timings].sort());

  const lines = files.get("records.jsonl")!;
  const records = lines.split(/(?=^\{"kind":"run")/m).map((text, at) => parseRecord(text, `run ${at}`));
  assertEquals(new Set(records.map(({ header }) => `runs/${header.run}.jsonl`)), new Set(runs));
  for (const { header } of records) assertStringIncludes(lines, files.get(`runs/${header.run}.jsonl`)!);
  for (const path of timings) assertEquals(JSON.parse(files.get(path)!).steps.length, steps);

  const tokens = sizes.tiny.batch * sizes.tiny.length;
  for (const { header, steps: rows, end } of records) {
    assertEquals(rows.map(({ step }) => step), Array.from({ length: steps }, (_, step) => step));
    assert(end, `${header.run} has no end`);
    for (const value of [end.loss, end.perplexity, ...rows.flatMap((row) => [row.loss, row.gradientNorm])]) {
      assert(Number.isFinite(value) && value > 0, `${header.run} holds ${value}`);
    }
    for (const { layers } of rows) {
      assertEquals(layers.length, Math.floor(sizes.tiny.blocks / sizes.tiny.moeEvery));
      for (const { wanted, kept } of layers) {
        assertEquals([wanted.length, kept.length], [header.experts.E, header.experts.E]);
        assert(kept.every((count, expert) => count <= wanted[expert]), "more kept than wanted");
        assert(wanted.reduce((sum, count) => sum + count) <= tokens * header.experts.K);
      }
    }
  }
  const labels = new Set(records.map(({ header }) => header.router));
  assertEquals(records.length, labels.size * seeds);
  assertEquals(new Set(records.map(({ header }) => header.activeFlopPerToken)).size, 1);
  for (let seed = 0; seed < seeds; seed++) {
    const starts = records.filter(({ header }) => header.seed === seed);
    assertEquals(new Set(starts.map(({ header }) => header.initialWeights)).size, 1);
  }

  const [titles, ...rows] = files.get("records.csv")!.trim().split("\n").map((line) => line.split(","));
  assert(rows.every((row) => row.length === titles.length), "a row of records.csv has other columns");
  const counts = records.map(({ steps, evaluations }) =>
    steps.reduce((sum, { layers }) => sum + layers.length, 0) + evaluations.length
  );
  assertEquals(rows.length, counts.reduce((sum, count) => sum + count));

  const html = new TextDecoder().decode(Deno.readFileSync(`${folder}/report.html`));
  assertEquals(select(html, "script, iframe, img, link"), []);
  assert(!/url\(|@import/.test(html), "the report fetches something");
  assert(!/NaN|undefined|Infinity/.test(select(html, "body")[0]), "the report shows what does not exist");
  assertEquals(select(html, "#table ~ .scroll tbody th"), [...labels]);
  return records;
}

for (const { name, about } of all) {
  Deno.test(`${name} runs from words to report with the permissions of its task`, () =>
    inFolder(async (folder) => {
      const out = await succeed(
        ...[name, "--size", "tiny", "--steps", "3", "--seeds", "2"],
        ...["--text", `${folder}/text.txt`, "--out", `${folder}/out`],
      );
      checkResults(`${folder}/out`, { steps: 3, seeds: 2 });
      assertStringIncludes(out, about);
      assertMatch(out, /^run 1\/\d+ \S+-seed0 {2}step 1\/3 {2}loss \d\.\d{3} {2}\d+ tokens\/s {2}\S+ left$/m);
      assertMatch(out, /^Unigram perplexity \d+\.\d\.$/m);
    }));
}

Deno.test("the Brown corpus brings parts of speech and genres", () =>
  inFolder(async (folder) => {
    const words = ["--routers", "switch,hash", "--size", "tiny", "--steps", "2", "--seeds", "1"];
    await succeed(...words, "--out", `${folder}/out`);
    for (const { header, end } of checkResults(`${folder}/out`, { steps: 2, seeds: 1 })) {
      assertEquals(header.data.corpus, "brown");
      const [{ partsOfSpeech, genres, byPartOfSpeech }] = end!.specialisation;
      assertEquals([partsOfSpeech.length, genres.length], [13, 15]);
      assert(byPartOfSpeech.flat().some((count) => count > 0), `${header.run} counted no words`);
    }
  }));

Deno.test("--routers all takes every router there is", () =>
  inFolder(async (folder) => {
    const words = ["--routers", "all", "--size", "tiny", "--steps", "2", "--seeds", "1"];
    await succeed(...words, "--text", `${folder}/text.txt`, "--out", `${folder}/out`);
    const records = checkResults(`${folder}/out`, { steps: 2, seeds: 1 });
    assertEquals(records.map(({ header }) => header.plugin), routers().map(({ name }) => name));
  }));

Deno.test("--list and --help name everything there is", async () => {
  const list = await succeed("--list");
  for (const { name, about } of all) assertStringIncludes(list, `  ${name.padEnd(18)} ${about}\n`);
  for (const router of routers()) {
    assertStringIncludes(list, `  ${router.name.padEnd(18)} ${router.about}\n`);
    for (const [option, value] of Object.entries(parseOptions(router) as Record<string, unknown>)) {
      assertStringIncludes(list, ` ${router.name}.${option}=${JSON.stringify(value)}\n`);
    }
  }
  for (const size of Object.keys(sizes)) assertMatch(list, new RegExp(`^  ${size} +width `, "m"));
  const help = await succeed("--help");
  const { error } = await experiments("--unknown");
  const known = error.match(/--[a-z]+/g)!.filter((option) => option !== "--unknown");
  assert(known.length >= 13, error);
  for (const option of known) assertMatch(help, new RegExp(`^  ${option}\\b`, "m"));
});

Deno.test("--set reaches the router, and the record says so", () =>
  inFolder(async (folder) => {
    const tiny = ["--size", "tiny", "--steps", "2", "--seeds", "1", "--text", `${folder}/text.txt`];
    await succeed(
      ...tiny,
      ...["--routers", "switch", "--set", "switch.capacityFactor=2", "--set", "switch.jitter=0"],
      ...["--threads=2", `--out=${folder}/deep/er/out`],
    );
    const [{ header }] = checkResults(`${folder}/deep/er/out`, { steps: 2, seeds: 1 });
    assertEquals([header.routerOptions.capacityFactor, header.routerOptions.jitter], [2, 0]);
  }));

const canScript = await new Deno.Command("script", { args: ["-qec", "true", "/dev/null"], stdin: "null" })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name: "a terminal sees one live line, and gets its cursor back when stopped (needs the program script)",
  ignore: !canScript,
  fn: () =>
    inFolder(async (folder) => {
      const tiny = "--size tiny --steps 3000 --seeds 1 --text";
      const child = new Deno.Command("script", {
        // The shell tells its process number, which is the command's own after exec.
        args: [
          "-qec",
          `echo "pid $$"; exec $DENO ${tiny} '${folder}/text.txt' --out '${folder}/out'`,
          "/dev/null",
        ],
        cwd: new URL("../", import.meta.url),
        env: { DENO: [Deno.execPath(), ...taskWords()].join(" "), NO_COLOR: "1", SHELL: "/bin/sh" },
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

interface Mistake {
  readonly about: string;
  readonly words: readonly string[];
  /** What the sentence must name: the value found, and what there is instead. */
  readonly named: readonly string[];
}

const everyRouter = routers().map(({ name }) => `"${name}"`);
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
  { about: "a size there is not", words: ["--size", "huge"], named: ['"huge"', ...Object.keys(sizes)] },
  { about: "a router without that option", words: ["--set", "hash.size=2"], named: ['"size"', "table"] },
  {
    about: "an option below its range",
    words: ["--set", "switch.capacityFactor=-1"],
    named: ['"switch"', "capacityFactor = -1", ">0"],
  },
  {
    about: "an option above its range",
    words: ["--set", "switch.jitter=1.5"],
    named: ['"switch"', "jitter = 1.5", "<=1"],
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
  { about: "half a --set", words: ["--set", "switch"], named: ['--set "switch"', "ROUTER.OPTION=VALUE"] },
  {
    about: "--set for an unknown router",
    words: ["--set", "topk.k=2"],
    named: ['router "topk"', ...everyRouter],
  },
  {
    about: "--set for a router that takes no part",
    words: ["--routers", "switch", "--set", "hash.table=random"],
    named: ['"hash"', '"switch"', "--routers"],
  },
  {
    about: "--set of what an experiment varies",
    words: ["capacity-factor", "--set", "switch.capacityFactor=2"],
    named: ["switch.capacityFactor", "1.25"],
  },
  { about: "an unknown option", words: ["--seed", "3"], named: ['"--seed"', "--seeds", "--steps"] },
  { about: "a short option", words: ["-s", "3"], named: ['"-s"', "--seeds"] },
  ...["seeds=0", "seeds=-1", "seeds=1.5", "seeds=many", "steps=0", "threads=0", "vocabulary=1"].map((
    word,
  ) => ({
    about: `--${word}`,
    words: [`--${word}`],
    named: [`--${word.replace("=", " ")}`, "a whole number from"],
  })),
  { about: "more threads than there can be", words: ["--threads", "65"], named: ["--threads 65", "to 64"] },
  {
    about: "a precision there is not",
    words: ["--precision", "f16"],
    named: ["--precision f16", "full", "half"],
  },
  {
    about: "half precision on the CPU",
    words: ["--precision", "half"],
    named: ["--precision half", "--device cpu", "--device webgpu"],
  },
  ...["size", "seeds", "steps", "threads", "vocabulary", "out", "text", "plugin", "precision"].map((
    option,
  ) => ({
    about: `--${option} without a value`,
    words: [`--${option}`],
    named: [`--${option}`],
  })),
];

Deno.test("what cannot be meant is refused in one sentence that names the value and the choices", () =>
  inFolder(async (folder) => {
    const usual = ["--text", `${folder}/text.txt`, "--out", `${folder}/out`, "--size", "tiny"];
    for (const { about, words, named } of mistakes) {
      assertRefused(await experiments(...usual, ...words), named, about);
    }
    assertEquals([...filesIn(folder).keys()], ["text.txt"], "a refused command wrote something");
  }));

Deno.test("a text that cannot be trained on is refused before anything is written", () =>
  inFolder(async (folder) => {
    const manyWords = Array.from(
      { length: 20 },
      (_, at) => Array.from({ length: 20_000 }, (_, word) => at * 20_000 + word).join(" ") + ".",
    ).join("\n\n");
    const texts: readonly (readonly [name: string, text: string | Uint8Array, ...named: string[]])[] = [
      ["empty.txt", "", "it holds no words"],
      ["blank.txt", " \n\n\t\n", "it holds no words"],
      ["one_sentence.txt", "Only this.", "it has 1 document"],
      ["short.txt", "One more.\n".repeat(30), "windows of 32 tokens", "at least 33 are needed"],
      ["bytes.bin", Uint8Array.of(0xFF, 0xFE, 0x00, 0x80), "it is not UTF-8 text"],
      ["missing.txt", "", "no such file or folder"],
      ["many.txt", manyWords, "words and width 256", "GiB", "4 GiB"],
    ];
    for (const [name, text, ...named] of texts) {
      const path = `${folder}/${name}`;
      if (typeof text !== "string") await Deno.writeFile(path, text);
      else if (name !== "missing.txt") await Deno.writeTextFile(path, text);
      const size = name === "many.txt" ? ["--size", "base", "--vocabulary", "1000000"] : ["--size", "tiny"];
      const outcome = await experiments("--text", path, "--out", `${folder}/out`, ...size);
      assertRefused(outcome, name === "many.txt" ? named : [path, ...named], name);
    }
    assertRefused(
      await experiments("--text", folder, "--out", `${folder}/out`),
      [folder, "it is a folder"],
      "a folder as text",
    );
    assert(!filesIn(folder).has("out/experiment.json"), "a refused command wrote something");
    assertEquals([...filesIn(folder).keys()].filter((path) => path.startsWith("out")), []);
  }));

Deno.test("a plugin that is none is refused by name", () =>
  inFolder(async (folder) => {
    const taken = 'import { switchRouter } from "@switchyard/moe"; export const copy = { ...switchRouter };';
    const plugins = [
      ["missing.ts", null, "Module not found"],
      ["broken.ts", "export const x = ;", "SyntaxError"],
      ["throwing.ts", 'throw new Error("no luck\\nat all");', "no luck"],
      ["empty.ts", "export const x = 1;", "it exports no router"],
      ["half.ts", 'export const x = { name: "half", create() {} };', "it has no about, no paper, no traits"],
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
    const started = ["--size", "tiny", "--steps", "2", "--seeds", "1", "--routers", "switch"];
    const nothing = await experiments("--resume", ...started, ...text, ...out);
    assertRefused(nothing, ["resume", `${folder}/out`, "it holds no experiment"], "nothing to resume");
    await succeed(...started, ...text, ...out);
    const before = filesIn(`${folder}/out`);

    const again = await experiments(...started, ...text, ...out);
    assertRefused(again, [`${folder}/out`, "--resume", "--out"], "a taken folder");
    const others: readonly (readonly [string[], string])[] = [
      [["--steps", "3"], "steps was 2 and is now 3"],
      [["--size", "small"], "size was tiny and is now small"],
      [["--vocabulary", "20"], "vocabulary was 63 and is now 20"],
      [["--set", "switch.capacityFactor=2"], "routerOptions.capacityFactor was 1.25 and is now 2"],
      [["capacity-factor"], "experiment was compare and is now capacity-factor"],
    ];
    for (const [words, reason] of others) {
      const outcome = await experiments(...started, ...text, ...out, "--resume", ...words);
      assertRefused(outcome, [reason], words.join(" "));
    }
    await Deno.writeTextFile(
      `${folder}/text.txt`,
      (await Deno.readTextFile(`${folder}/text.txt`)) + "Baba.\n",
    );
    const changed = await experiments(...started, ...text, ...out, "--resume");
    assertRefused(changed, ["Cannot resume switch-seed0: its data."], "a text changed in between");
    assertEquals(filesIn(`${folder}/out`), before, "a refused command changed results");
  }));

Deno.test("a folder that cannot be written to is named before any training", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "kept");
    for (const out of [`${folder}/file`, `${folder}/file/deeper`]) {
      const outcome = await experiments("--size", "tiny", "--text", `${folder}/text.txt`, "--out", out);
      assertRefused(outcome, [out, "part of the path is a file, not a folder", "MiB"], out);
    }
    assertEquals([...filesIn(folder).keys()].sort(), ["file", "text.txt"]);
  }));

const mount = new Deno.Command("unshare", { args: ["-m", "mount", "-t", "tmpfs", "none", "/tmp"] });
const canMount = await mount.output().then(({ success }) => success, () => false);

/** Runs the command on a disk of its own, mounted at `folder`/disk. */
async function onDisk(folder: string, options: string, then: string) {
  await Deno.mkdir(`${folder}/disk`, { recursive: true });
  const script = `mount -t tmpfs -o ${options} none "${folder}/disk" && "$@"; code=$?; ${then}; exit $code`;
  const words = ["--size", "tiny", "--steps", "60", "--seeds", "1", "--text", `${folder}/text.txt`];
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
  const dataset = madeUpDataset({ words: 3000, wordsEach: 4000, vocabulary: 2500 });
  const size = { ...sizes.tiny, vocabulary: dataset.vocabulary.size };
  for (const router of routers()) {
    const backend = await cpu({ threads: 1 });
    const before = backend.statistics().carvedBytes;
    const plan = { run: "r", label: router.name, sizeName: "tiny", seed: 0, steps: 1, size, router };
    const options = { backend, dataset, machine: { threads: 1, machine: "" }, version: "0" };
    await train({ ...plan, routerOptions: parseOptions(router) }, options);
    const taken = backend.statistics().carvedBytes - before;
    const least = leastBytes(size, dataset.vocabulary.size);
    assert(taken >= least, `${router.name} took ${taken} bytes, below the bound of ${least}`);
    backend.close();
  }
  assertEquals(madeUpWords(), madeUpWords(), "made-up text differs from call to call");
});
