// Tasks: the contract of each, and the numbers that the two classification tasks, the languages and the functions are
// known by.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { pathToFileURL } from "node:url";
import { trainingBatches, validationBatches } from "../data/batches.ts";
import { prepareBytes } from "../data/bytes.ts";
import { corpora, findCorpus } from "../data/corpora.ts";
import { wordsOfTexts } from "../data/plain_text.ts";
import { loadUdhr, textOfPage } from "../data/udhr.ts";
import { language } from "../tasks/language.ts";
import { languages } from "../tasks/languages.ts";
import { recall } from "../tasks/recall.ts";
import { regimes } from "../tasks/regimes.ts";
import { findTask, parseTaskOptions, registerTask, tasks } from "../tasks/registry.ts";
import { regression } from "../tasks/regression.ts";
import type { TaskData, TaskPlugin } from "../tasks/task.ts";
import { textData } from "../tasks/text.ts";
import { random } from "../tensor/random.ts";
import { madeUpDataset, madeUpParagraphs, madeUpWords } from "./made_up_text.ts";
import { taskContract, type TaskVariants } from "./task_contract.ts";

const variants: Readonly<Record<string, TaskVariants>> = {
  language: { other: [{ vocabulary: 100 }, { validationShare: 0.2 }, { unit: "bytes" }], heldOut: false },
  languages: { other: [{ validationShare: 0.1 }, { unit: "words" }], heldOut: false },
  recall: {
    other: [{ facts: 100 }, { topics: 8 }, { objects: 10 }, { width: 16 }, { spread: 1 }, { world: 8 }],
    heldOut: false,
  },
  regimes: {
    other: [{ skew: 1 }, { noise: 0.1 }, { topics: 4 }, { classes: 3 }, { heldOut: 0.2 }, { world: 8 }],
    heldOut: true,
  },
  regression: {
    other: [{ function: "skew" }, { function: "disc" }, { points: 50 }, { noise: 0.2 }, { world: 8 }],
    heldOut: true,
  },
};

for (const plugin of tasks()) {
  assert(
    plugin.name in variants,
    `say in tests/tasks_test.ts which options change the examples of ${plugin.name}`,
  );
  taskContract(plugin, variants[plugin.name]);
}

// The task that docs/write_a_task.md shows keeps the contract too.
const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const root = new URL("../", import.meta.url);
const [, shown] = Deno.readTextFileSync(new URL("docs/write_a_task.md", root)).match(/```ts\n([^]*?)```/)!;
Deno.writeTextFileSync(`${folder}/sectors.ts`, shown.replaceAll('"../', `"${root}`));
const { sectors } = await import(pathToFileURL(`${folder}/sectors.ts`).href);
taskContract(sectors, { other: [{ points: 100 }, { sectors: 3 }], heldOut: true });

/** A task's data with some options set. */
function load<Options>(
  plugin: TaskPlugin<Options>,
  options: Record<string, unknown> = {},
): Promise<TaskData> {
  return plugin.load(parseTaskOptions(plugin, options));
}

const frozen = ({ input, output }: TaskData) => {
  assert(input.kind === "vectors" && output.kind === "vectors");
  return { input: input.vectors, output: output.vectors };
};

function countsOf(labels: Iterable<number>): number[] {
  const counts: number[] = [];
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

Deno.test("a task of one's own joins the list, and bad ones are refused", () => {
  const own = { ...recall, name: "recall-of-mine" };
  registerTask(own);
  assertEquals(findTask("recall-of-mine"), own);
  registerTask(own); // once more is no mistake: a file that registers its task may be named with --plugin
  assertThrows(
    () => registerTask({ ...own }),
    RangeError,
    'Cannot register task "recall-of-mine": the name is taken',
  );
  assertThrows(() => registerTask({ ...recall, name: "Mine" }), RangeError, "a name is kebab-case");
  const { load: _, ...without } = recall;
  assertThrows(
    () => registerTask(without as typeof recall),
    TypeError,
    "Cannot register a task: it has no load",
  );
});

Deno.test("recall is the trial's: its vectors, objects and order of batches", async () => {
  const data = await load(recall);
  assertEquals(data.digest, "278a29c5295055145aded7591a6e943f7b813028682b8f99df78316700577423");
  assertEquals(data.facts, { facts: 2048, topics: 16, objects: 64 });
  assertEquals(data.references, [{ name: "chance", loss: Math.log(64) }]);
  const { input, output } = frozen(data);
  const [world, D] = [random(7), 32];
  const [centre, own] = [world.split("centre").normal(16 * D), world.split("own").normal(2048 * D)];
  const objects = world.split("object").uniform(2048);
  for (const [row, d] of [[0, 0], [17, 3], [2047, 31]]) {
    const value = (centre[row % 16 * D + d] + 0.5 * own[row * D + d]) / Math.sqrt(1.25);
    assertEquals(input.values[row * D + d], Math.fround(value));
  }
  assertEquals(output.values, world.split("objvec").normal(64 * D));
  const stream = random(3).split("data");
  const { tokenId, target } = data.trainingExamples({ batch: 1, length: 512, random: stream })(5);
  assertEquals(tokenId, Int32Array.from(stream.split(5).uniform(512), (draw) => Math.floor(2048 * draw)));
  assertEquals(target, tokenId.map((row) => Math.floor(64 * objects[row])));
  const judged = data.evaluationExamples({ batch: 1, length: 512 });
  assertEquals(judged.flatMap(({ tokenId }) => [...tokenId]), Array.from({ length: 2048 }, (_, at) => at));
  // Experts 0 to 7 of the best table hold as many facts of each topic: 16 of 128.
  const held = countsOf(data.bestRouting!.group_V.map((group, row) => group % 8 * 16 + row % 16));
  assertEquals(held, new Array(8 * 16).fill(16));
});

Deno.test("regimes is the trial's: eight rules, 36,864 inputs to learn them from and 4,096 to judge by", async () => {
  const data = await load(regimes);
  assertEquals(data.digest, "7c404528621333820ba911a62d8de80766f2a5e4364e299bc2cb6a60795b434f");
  assertEquals(data.facts, { "inputs": 36864, "inputs held out": 4096, topics: 8, classes: 8 });
  assertEquals(data.references, [{ name: "chance", loss: Math.log(8) }]);
  const judged = data.evaluationExamples({ batch: 1, length: 512 });
  assertEquals([judged.length, judged[0].tokenId[0], judged[7].tokenId[511]], [8, 36864, 40959]);
  const { group_V } = data.bestRouting!;
  const counts = countsOf(group_V);
  assertEquals(counts.length, 8);
  // 5 deviations of a count of 40,960 draws in eight.
  assert(counts.every((count) => Math.abs(count - 5120) < 5 * Math.sqrt(5120 * 7 / 8)), `${counts}`);
  assertEquals(judged[0].labels[0], group_V.slice(36864, 36864 + 512));

  const [world, D, V] = [random(7), 32, 8];
  const own = world.split("own").normal(40960 * D);
  const rules = world.split("maps").normal(8 * D * V);
  for (const [at, row] of [...judged[0].tokenId].entries()) {
    const scores = Array.from(
      { length: V },
      (_, v) =>
        Array.from({ length: D }, (_, d) => own[row * D + d] * rules[(group_V[row] * D + d) * V + v])
          .reduce((sum, product) => sum + product, 0),
    );
    assertEquals(judged[0].target[at], scores.indexOf(Math.max(...scores)));
  }
});

Deno.test("regimes: skew draws topics by Zipf's law, noise replaces its share of answers", async () => {
  const [plain, skewed, noisy, random_] = await Promise.all(
    [{}, { skew: 1 }, { noise: 0.1 }, { noise: 1 }].map((options) => load(regimes, options)),
  );
  const harmonic = [1, 2, 3, 4, 5, 6, 7, 8].reduce((sum, rank) => sum + 1 / rank, 0);
  for (const [topic, count] of countsOf(skewed.bestRouting!.group_V).entries()) {
    const share = 1 / (topic + 1) / harmonic;
    const deviation = Math.sqrt(40960 * share * (1 - share));
    assert(Math.abs(count - 40960 * share) < 5 * deviation, `topic ${topic + 1}: ${count}`);
  }
  assertEquals(frozen(noisy).input, frozen(plain).input);
  const answers = (data: TaskData) =>
    data.evaluationExamples({ batch: 1, length: 4096 }).flatMap(({ target }) => [...target]);
  const changed = (data: TaskData) => {
    const [was, is] = [answers(plain), answers(data)];
    return is.filter((answer, at) => answer !== was[at]).length / 4096;
  };
  // An eighth of what is replaced gets the class it had.
  for (const [data, share] of [[noisy, 0.1 * 7 / 8], [random_, 7 / 8]] as const) {
    assert(Math.abs(changed(data) - share) < 5 * Math.sqrt(share * (1 - share) / 4096), `${changed(data)}`);
  }
  const [right, wrong] = [0.9 + 0.1 / 8, 0.1 / 8];
  assertEquals(noisy.references[1].name, "noise alone");
  assertAlmostEquals(noisy.references[1].loss, -right * Math.log(right) - 7 * wrong * Math.log(wrong), 1e-12);
  assertAlmostEquals(random_.references[1].loss, Math.log(8), 1e-12);
  const small = { inputs: 4, heldOut: 0.9 };
  await assertRejects(() => load(regimes, small), RangeError, "Cannot hold out a share of 0.9 of 4 inputs");
});

Deno.test("languages: 16 texts, 193 KB, the last 15 % of each held out", async () => {
  const data = await load(languages);
  assertEquals(data.digest, "d320cb342b8d5a208c869fc4290c6e83568e5d23f505ed6b294904da688f23b3");
  assertEquals(data.labels.map(({ name, names }) => [name, names.length]), [["language", 16]]);
  assertEquals(data.facts["training tokens"] + data.facts["validation tokens"], 192_738);
  assertEquals(data.nameOf("é".charCodeAt(0)), "0xe9");
  assertEquals(["a", "\n"].map((letter) => data.nameOf(letter.charCodeAt(0))), ["a", "0x0a"]);
  const { texts } = await loadUdhr();
  const dataset = prepareBytes({ name: "udhr", texts }, 0.15);
  const sizes = texts.map(({ text }) => new TextEncoder().encode(text).length);
  assertEquals(countsOf(dataset.genre), sizes.map((size) => size - Math.floor(0.85 * size)));
  const decoded = new TextDecoder().decode(
    Uint8Array.from(dataset.train.subarray(0, Math.floor(0.85 * sizes[0]))),
  );
  assertEquals(texts[0].text.startsWith(decoded), true);
  for (const { text, name } of texts) assert(!/[<>&]|\n\s*\n/.test(text), name);
});

Deno.test("a page loses its head and tags, and references become letters", () => {
  const page =
    "<html><head>\n<title>No</title>\n</head>\n<body>\n <h1>A &amp;&#x20;&#66;</h1>\n\n <p>&lt;c&gt; &nbsp;</p></body>";
  assertEquals(textOfPage(page), "A & B\n<c> &nbsp;");
});

Deno.test("a text's windows, order and labels are those of its dataset, bit for bit", async () => {
  const dataset = madeUpDataset();
  const data = await textData(dataset);
  const shape = { batch: 4, length: 16 };
  for (const step of [0, 7, 300]) {
    for (const shards of [1, 2]) {
      const options = { ...shape, random: random(5).split("data"), shards };
      const { tokenId, target, lengths } = data.trainingExamples(options)(step);
      assertEquals({ tokenId, target }, trainingBatches(dataset, options)(step));
      assertEquals(lengths, [16, 16, 16, 16]);
    }
  }
  const batches = validationBatches(dataset, shape);
  for (const [at, { tokenId, target, labels, lengths }] of data.evaluationExamples(shape).entries()) {
    const { partOfSpeech, genre, windows } = batches[at];
    assertEquals({ tokenId, target, labels }, {
      tokenId: batches[at].tokenId,
      target: batches[at].target,
      labels: [partOfSpeech, genre],
    });
    assertEquals(lengths.length, windows);
  }
  assertEquals(data.labels.map(({ name }) => name), ["part of speech", "genre"]);
  assertAlmostEquals(data.references[0].loss, Math.log(dataset.unigramPerplexity), 1e-12);
});

Deno.test("any text: a file, a folder of files, one long line without full stops", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const words = madeUpWords().map((document) => document.join(" "));
    Deno.writeTextFileSync(`${folder}/paragraphs.txt`, madeUpParagraphs());
    Deno.writeTextFileSync(`${folder}/line.txt`, words.join(" "));
    for (const genre of ["verse", "prose"]) {
      Deno.mkdirSync(`${folder}/texts/${genre}`, { recursive: true });
      for (const [at, text] of words.entries()) {
        Deno.writeTextFileSync(`${folder}/texts/${genre}/${at}.txt`, text);
      }
    }
    for (const unit of ["words", "bytes"]) {
      for (const file of ["paragraphs.txt", "line.txt", "texts"]) {
        const data = await load(language, { corpus: `${folder}/${file}`, unit });
        const { "training tokens": train, "validation tokens": held } = data.facts;
        const share = held / (train + held);
        assert(share > 0.05 && share < 0.15, `${file} ${unit}: ${share}`);
        const labels = data.labels.map(({ name, names }) => [name, [...names].sort()]);
        assertEquals(labels, file === "texts" ? [["folder", ["prose", "verse"]]] : []);
      }
    }
    const line = wordsOfTexts(await (await findCorpus(`${folder}/line.txt`)).texts());
    assertEquals(line.documents.length, 20);
    // Cut between words and nowhere else: nothing is lost, and no end of a sentence is made up.
    assertEquals(line.documents.flatMap(({ words }) => words).join(" "), `${words.join(" ")} <end>`);
    // Where a folder has many files, each is a document of its own.
    const many = wordsOfTexts(await (await findCorpus(`${folder}/texts`)).texts());
    assertEquals([many.documents.length, many.documents[0].genre], [40, "prose"]);
    Deno.mkdirSync(`${folder}/empty`);
    const empty = `${folder}/empty`;
    await assertRejects(() => load(language, { corpus: empty }), RangeError, "the folder holds no files");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what cannot be read is refused with the choices", async () => {
  const names = corpora.map(({ name }) => `"${name}"`).join(", ");
  await assertRejects(
    () => load(language, { corpus: "browne" }),
    RangeError,
    `Cannot find corpus "browne": there are ${names}, and no file or folder of that name`,
  );
  await assertRejects(
    () => load(languages, { vocabulary: 100 }),
    RangeError,
    "Cannot number 100 words of udhr: its unit is bytes; choose words",
  );
  assertThrows(
    () => prepareBytes({ name: "x", texts: [{ name: "x", genre: null, text: "" }] }, 0.1),
    RangeError,
    "Cannot train on x: it has 0 bytes",
  );
});

Deno.test("Brown as bytes is its words with a line for each sentence; udhr as words has a tenth of each language", async () => {
  const brown = await (await findCorpus("brown")).texts();
  assertEquals(brown.texts[0].text.split("\n")[1].slice(0, 40), "the jury further said in term-end presen");
  const data = await load(languages, { unit: "words", validationShare: 0.1 });
  const held = data.evaluationExamples({ batch: 1, length: 64 });
  assertEquals(new Set(held.flatMap(({ labels }) => [...labels[0]])).size, 16);
});

Deno.test("functions in pieces have the values, pieces and references that a hand gets", async () => {
  const two = await load(regression);
  const judged = two.evaluationExamples({ batch: 1, length: 1024 })[0];
  const { input, output } = frozen(two);
  assertEquals([...output.values], [1, 0]);
  const x = Array.from(judged.tokenId, (row) => input.values[2 * row + 1]);
  const value = x.map((x) => x < 0.5 ? 0.8 * x - 0.2 : 2 - 2 * x);
  assertEquals([...judged.target], value.map(Math.fround));
  assertEquals([...judged.labels[0]], x.map((x) => Number(x >= 0.5)));
  // Simple regression: what a line leaves is (1 - correlation^2) of the variance.
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const product = (a: number[], b: number[]) =>
    mean(a.map((value, at) => (value - mean(a)) * (b[at] - mean(b))));
  const [constant, line] = two.references.map(({ loss }) => loss);
  assertAlmostEquals(constant, product(value, value), 1e-6);
  assertAlmostEquals(line, product(value, value) - product(x, value) ** 2 / product(x, x), 1e-6);

  const shareOf = async (options: Record<string, unknown>, piece: number) => {
    const data = await load(regression, options);
    const [{ labels: [labels] }] = data.evaluationExamples({ batch: 1, length: 1024 });
    return countsOf(labels)[piece] / 1024;
  };
  assertEquals(await shareOf({ function: "skew" }, 0), 0.25);
  assertEquals(await shareOf({ function: "four" }, 3), 0.25);
  assertEquals(await shareOf({ function: "quadrants" }, 3), 0.25);
  assertEquals(await shareOf({ function: "checker" }, 1), 0.5);
  assertAlmostEquals(await shareOf({ function: "disc" }, 1), Math.PI * 0.35 ** 2, 0.01);
});

Deno.test("regression: an epoch takes each point once, noise is on training values alone", async () => {
  const [plain, noisy] = await Promise.all([load(regression), load(regression, { noise: 0.2, points: 100 })]);
  const shape = { batch: 1, length: 100, random: random(0) };
  const [a, b] = [plain, noisy].map((data) => data.trainingExamples(shape)(3));
  assertEquals([...a.tokenId].sort((x, y) => x - y), Array.from({ length: 100 }, (_, at) => at));
  assertEquals(a.tokenId, b.tokenId);
  const difference = [...b.target].map((value, at) => value - a.target[at]);
  const deviation = Math.sqrt(difference.reduce((sum, value) => sum + value ** 2, 0) / 100);
  assert(deviation > 0.14 && deviation < 0.26, `${deviation}`);
  assertEquals(plain.evaluationExamples(shape), noisy.evaluationExamples(shape));
});
