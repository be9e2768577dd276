// `deno task sample` as a user types it: text from models that `--save` kept, words and bytes, with their routing; what it
// prints is what the library gives; and every mistake is one sentence.
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { cpu } from "../cpu/backend.ts";
import { experimentsLine } from "../cli/experiment_options.ts";
import { splitWords } from "../cli/options.ts";
import { inspectLine } from "../cli/inspect.ts";
import { readChoice, sampleLine } from "../cli/sample.ts";
import { routingTable } from "../cli/routing_table.ts";
import { decodeText, encodeText } from "../data/encode.ts";
import { generate } from "../models/generate.ts";
import { loadModel } from "../training/load_model.ts";
import { assertRefused, experiments, filesIn, succeed } from "./experiments_command.ts";
import { madeUpParagraphs } from "./made_up_text.ts";
import { runTask } from "./task_command.ts";

const root = new URL("../", import.meta.url);
const folder = await Deno.makeTempDir();
const backend = await cpu({ threads: 1 });
addEventListener("unload", () => {
  backend.close();
  Deno.removeSync(folder, { recursive: true });
});

/** Runs the task from the folder of the models. */
const sample = (...words: string[]) => runTask("sample", words, { INIT_CWD: folder });

await Deno.writeTextFile(`${folder}/text.txt`, madeUpParagraphs());
const common = [
  "--text",
  `${folder}/text.txt`,
  "--size",
  "tiny",
  "--seeds",
  "1",
  "--steps",
  "12",
  "--no-controls",
];
const plugin = `
import { hash } from "${root}routers/hash.ts";
export const mine = { ...hash, name: "mine" };
`;
await Deno.writeTextFile(`${folder}/mine.ts`, plugin);
const [shown] = await Promise.all([
  succeed(...common, "--routers", "switch,gshard", "--save", "--out", `${folder}/words`),
  succeed(
    ...[...common, "--set", "task.unit=bytes", "--vary", "task.vocabulary=null", "--routers", "deepseek"],
    ...["--save", "best", "--jobs", "1", "--out", `${folder}/bytes`],
  ),
  succeed(
    ...common,
    "--plugin",
    `${folder}/mine.ts`,
    "--routers",
    "mine",
    "--save",
    "--out",
    `${folder}/plugin`,
  ),
  succeed(
    "--task",
    "recall",
    "--routers",
    "hash",
    "--steps",
    "3",
    "--seeds",
    "1",
    "--no-controls",
    "--save=last",
    "--out",
    `${folder}/recall`,
  ),
]);

const models = (out: string) =>
  [...filesIn(`${folder}/${out}`).keys()].filter((path) => /\.model\./.test(path)).sort();

Deno.test("--save leaves a model a run, and says where", () => {
  assertStringIncludes(shown, `Models: ${folder}/words/runs/*.model.safetensors.\n`);
  assertEquals(models("words"), [
    "runs/gshard-seed0.model.safetensors",
    "runs/switch-seed0.model.safetensors",
  ]);
  assertEquals(models("bytes"), ["runs/deepseek-seed0.model.safetensors"]);
});

Deno.test("the text is what the library generates, from where the user stands, and goes on from the prompt", async () => {
  using loaded = await loadModel(`${folder}/words/runs/switch-seed0`, { backend });
  const vocabulary = loaded.vocabulary!;
  const prompt = `${vocabulary.words[3]} ${vocabulary.words[5]}`;
  for (const options of [{}, { temperature: 0.8, topP: 0.9, seed: 3 }]) {
    const promptId = encodeText(prompt, vocabulary);
    const { tokenId } = await generate(loaded.model, promptId, {
      maxTokens: 9,
      step: loaded.step,
      ...options,
    });
    const decoding = decodeText(vocabulary);
    const text = [...promptId, ...tokenId].map((id) => decoding.next(id)).join("");
    const words = Object.entries(options).flatMap(([name, value]) => [
      `--${name === "topP" ? "top-p" : name}`,
      String(value),
    ]);
    const { code, out, error } = await sample(
      "words/runs/switch-seed0",
      "--prompt",
      prompt,
      "--max-tokens",
      "9",
      ...words,
    );
    assertEquals([code, out, error], [0, `${text}\n`, ""]);
    assert(text.startsWith(prompt) && text.length > prompt.length);
  }
  const [again, other] = await Promise.all(
    ["3", "4"].map((seed) =>
      sample("words/runs/switch-seed0", "--prompt", prompt, "--temperature", "2", "--seed", seed)
    ),
  );
  assert(again.out !== other.out);
});

Deno.test("with experts on disk the text and its routing are the same, and what was read is said", async () => {
  const words = ["words/runs/gshard-seed0", "--prompt", "the", "--max-tokens", "9", "--show-routing"];
  const [whole, ...left] = await Promise.all([
    sample(...words),
    sample(...words, "--experts-on-disk"),
    sample(...words, "--experts-on-disk", "0"),
  ]);
  for (const { code, out, error } of left) {
    assertEquals([code, out], [0, whole.out]);
    assertMatch(
      error,
      /^Experts on disk: \d+ of \d+ asked for were in memory \([\d.]+ %\); [\d.]+ MiB read, at most [\d.]+ of [\d.]+ MiB held\.$/m,
    );
  }
  const read = left.map(({ error }) => Number(error.match(/([\d.]+) MiB read/)![1]));
  assert(read[1] > 2 * read[0], "an expert that is not held is read again");
  assertRefused(
    await sample(...words, "--experts-on-disk", "-1"),
    ["Cannot use --experts-on-disk -1: choose MiB of experts to hold, 0 to 1048576"],
    "--experts-on-disk",
  );
});

Deno.test("bytes come as text, and routing is shown for each token and layer as the model routes", async () => {
  const { code, out, error } = await sample(
    "bytes",
    "--prompt",
    "ba ü",
    "--max-tokens",
    "4",
    "--show-routing",
  );
  assertEquals([code, error], [0, ""]);
  assert(out.startsWith("ba ü"));
  using loaded = await loadModel(`${folder}/bytes`, { backend });
  assertEquals(loaded.kept, "best");
  const promptId = encodeText("ba ü", loaded.vocabulary!);
  const { tokenId } = await generate(loaded.model, promptId, { maxTokens: 4, step: loaded.step });
  const tokens = await loaded.look(Int32Array.of(...promptId, ...tokenId));
  const rows = out.split("\n").filter((line) => line.startsWith("│")).slice(1)
    .map((line) => line.split("│").slice(1, -1).map((cell) => cell.trim()));
  assertEquals(rows.length, 9);
  rows.forEach(([mark, name, ...cells], at) => {
    assertEquals([mark, name], [at < 5 ? "" : "+", loaded.vocabulary!.words[tokens[at].tokenId]]);
    const expected = tokens[at].layers.map(({ kept }) =>
      kept.map(({ expert, weight }) => `${expert} ${weight.toFixed(2)}`).join(", ")
    );
    assertEquals(cells, expected);
  });
});

Deno.test("a token that had no room, one that went nowhere, and a model without experts", () => {
  const layer = (kept: { expert: number; weight: number }[], dropped: number[]) => ({
    layer: 2,
    wanted: [],
    kept,
    dropped,
    probability: null,
  });
  const table = routingTable(
    [
      { tokenId: 0, layers: [layer([{ expert: 3, weight: 0.256 }], [7])] },
      { tokenId: 1, layers: [layer([], [])] },
    ],
    1,
    ["the", "cat"],
  );
  for (const cell of ["layer 2", "│ the   │ 3 0.26, 7 full │", "│ + │ cat   │ -              │"]) {
    assertStringIncludes(table, cell);
  }
  assertEquals(routingTable([{ tokenId: 0, layers: [] }], 1, ["the"]), "The model has no experts.");
});

Deno.test("a router that is not causal and words that are unknown are remarked on beside the text", async () => {
  const { code, out, error } = await sample(
    "words/runs/gshard-seed0",
    "--prompt",
    "zzz zzz",
    "--max-tokens",
    "3",
  );
  assertEquals(code, 0);
  assert(out.startsWith("<unknown> <unknown>"));
  assertMatch(
    error,
    /^Not in the vocabulary, and read as <unknown>: zzz\.\nAll tokens are computed again with each new one: router "gshard" is not causal, [^\n]+\.\n$/,
  );
});

Deno.test("a model of a plugin's router needs the plugin", async () => {
  const words = ["plugin", "--prompt", "baba", "--max-tokens", "2"];
  assertEquals((await sample(...words, "--plugin", "mine.ts")).code, 0);
  assertRefused(await sample(...words), ['Cannot find router "mine": there are'], "without it");
});

const page = await Deno.readTextFile(new URL("docs/use_a_trained_model.md", root));
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}(?: ignore)?\\n([^]*?)\`\`\``, "g"))].map(([, block]) =>
    block
  );

Deno.test("the commands that the page shows are commands", () => {
  const shown = blocks("sh").join("").trim().split("\n").map((line) => line.match(/'[^']*'|\S+/g)!);
  assertEquals(shown.length, 6);
  for (const [deno, task, name, ...words] of shown) {
    const line = [sampleLine, experimentsLine, inspectLine].find((each) => each.task === name)!;
    assertEquals([deno, task, name], ["deno", "task", line.task]);
    assertEquals(splitWords(words, line).names.length, name === "experiments" ? 0 : 1);
  }
});

Deno.test("the programs that the page shows run", async () => {
  const home = `${folder}/page`;
  await Deno.mkdir(`${home}/results/compare/runs`, { recursive: true });
  const [model] = models("words").slice(-1);
  await Deno.copyFile(`${folder}/words/${model}`, `${home}/results/compare/${model}`);
  const outs = [];
  for (const [at, block] of blocks("ts").entries()) {
    await Deno.writeTextFile(`${home}/${at}.ts`, block);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--config",
        fileURLToPath(new URL("deno.json", root)),
        "--allow-read=.",
        "--allow-write=.",
        `${at}.ts`,
      ],
      cwd: home,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    outs.push(new TextDecoder().decode(stdout));
  }
  assertEquals(outs.length, 2);
  assertMatch(outs[0], /^switch 12 \d\.\d+\n<unknown> <unknown> [^]*layer: 1,\s+kept: \[/);
  assertMatch(outs[1], /^\[ \{ expert: \d, weight: [\d.]+ \} \]\n$/);
});

Deno.test("mistakes are refused in one sentence", async () => {
  const run = "words/runs/switch-seed0";
  const asTyped: readonly (readonly [words: string[], named: string])[] = [
    [["--prompt", "a"], "Cannot sample from nothing: name one run, like"],
    [[run, "b", "--prompt", "a"], `Cannot sample from "${run}", "b": name one run`],
    [[run], "Cannot sample without a prompt: give one with --prompt"],
    [[run, "--prompt", ""], "Cannot use --prompt: it needs a value"],
    [[run, "--prompt", "a", "--temperature", "hot"], "Cannot use --temperature hot: it is no number"],
    [[run, "--prompt", "a", "--temperature", "-1"], "Cannot draw tokens at temperature -1"],
    [[run, "--prompt", "a", "--temperature", "1", "--top-p", "0"], "Cannot draw tokens from a share of 0"],
    [[run, "--prompt", "a", "--top-p", "0.9"], "Cannot use --top-p 0.9 at temperature 0, which always takes"],
    [[run, "--prompt", "a", "--seed", "1"], "Cannot use --seed 1 at temperature 0"],
    [[run, "--prompt", "a", "--max-tokens", "0"], "Cannot use --max-tokens 0: choose a whole number from 1"],
    [[run, "--prompts", "a"], "did you mean --prompt?"],
  ];
  for (const [words, named] of asTyped) {
    assertThrows(() => readChoice(splitWords(words, sampleLine), folder), RangeError, named);
  }
  const onDisk: readonly (readonly [words: string[], named: string])[] = [
    [[run, "--prompt", " "], 'the prompt " " has no words; give it one or more'],
    [
      ["words", "--prompt", "a"],
      "it holds 2; name one of runs/gshard-seed0.model.safetensors, runs/switch-seed0.model",
    ],
    [["nowhere", "--prompt", "a"], `Cannot read ${folder}/nowhere: no such file or folder`],
    [["text.txt", "--prompt", "a"], `Cannot read model ${folder}/text.txt: `],
    [["recall", "--prompt", "a"], 'Cannot sample from hash-seed0: its task "recall" is not of text'],
    [[run, "--prompt", "a", "--device", "tpu"], "Cannot use --device tpu: there are cpu, webgpu, auto"],
  ];
  for (const [words, named] of onDisk) assertRefused(await sample(...words), [named], words.join(" "));
  assertRefused(
    await experiments(...common, "--save", "all", "--out", `${folder}/never`),
    ["Cannot use --save all: choose last or best"],
    "--save all",
  );
  assertRefused(
    await experiments(
      ...common,
      "--routers",
      "switch,gshard",
      "--save",
      "best",
      "--out",
      `${folder}/words`,
      "--resume",
    ),
    ["Cannot keep the best model of switch-seed0: it was trained for 12 steps without keeping it"],
    "--save best of what kept the last",
  );
});
