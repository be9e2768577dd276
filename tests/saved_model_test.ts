// A model that stays: what is saved evaluates to the loss of the record, to the bit, whatever the task, the router and the
// experts; the best step is the best; a run that was stopped leaves the same file; everything else is refused by name.
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { decodeText, encodeText } from "../data/encode.ts";
import { prepareSubwords } from "../data/subwords.ts";
import { openTokenizer } from "../data/tokenizer.ts";
import { parsePlainText } from "../data/plain_text.ts";
import { buildVocabulary } from "../data/vocabulary.ts";
import type { Model } from "../models/model.ts";
import { routers } from "../routers/registry.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { recall } from "../tasks/recall.ts";
import { regimes } from "../tasks/regimes.ts";
import { regression } from "../tasks/regression.ts";
import type { TaskData } from "../tasks/task.ts";
import { textData } from "../tasks/text.ts";
import { prepareBytes } from "../data/bytes.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../training/checkpoint.ts";
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import { evaluate, evaluationPlan } from "../training/evaluate.ts";
import { loadModel } from "../training/load_model.ts";
import { openRunStore } from "../training/run_store.ts";
import { train, type TrainOptions } from "../training/train.ts";
import { createTrainer } from "../training/trainer.ts";
import { madeUpParagraphs } from "./made_up_text.ts";
import { cpuAndFolder } from "./own_folder.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const { backend, folder } = await cpuAndFolder();
const text = await madeUpData();

const tokenizerPath = new URL("oracles/tokenizers/byte-bpe/tokenizer.json", import.meta.url).pathname;
const tokenizer = await openTokenizer(tokenizerPath);
const paragraphs = { name: "made up", texts: [{ name: "one", genre: null, text: madeUpParagraphs() }] };
const bytes = await textData(prepareBytes(paragraphs, 0.1));
const subwords = await textData(prepareSubwords(paragraphs, tokenizer, 0.1));

const lossOf = async (model: Model, config: RunConfig, data: TaskData, step: number) =>
  (await evaluate(model, { backend, data, plan: evaluationPlan(config, data), step })).loss;

const few: Settings = { "train.steps": 6, "train.learningRate": 0.02, "train.evaluations": 3, seed: 3 };
const smallText = (router: string, ...settings: Settings[]) =>
  tinyConfig(router, {}, least, few, ...settings);

const layers = [{ feedForward: "none" }, { experts: 4, router: { name: "hash" } }, { attention: false }];
const [facts, rules, points] = await Promise.all([
  recall.load(parseTaskOptions(recall, { facts: 64 })),
  regimes.load(parseTaskOptions(regimes, { inputs: 2048 })),
  regression.load(parseTaskOptions(regression)),
]);
const ofTask = (defaults: Settings, task: Settings, ...settings: Settings[]) =>
  configOf(defaults, task, { ...few, "train.length": 32 }, ...settings);
const ofRules = { "task.name": "regimes", "task.inputs": 2048 };

const cases: readonly (readonly [about: string, config: RunConfig, data: TaskData])[] = [
  ...routers().map(({ name }) => [`router ${name}`, smallText(name), text] as const),
  ["bytes", smallText("switch"), bytes],
  ["sub-words", smallText("switch"), subwords],
  ["layers of their own", smallText("deepseek", { "model.layers": 3, "model.perLayer": layers }), text],
  ["experts with biases", smallText("gshard", { "experts.bias": true }), text],
  [
    "a router that remembers",
    smallText("locmoe-plus", { router: { name: "locmoe-plus", boundMemory: 0.5 } }),
    text,
  ],
  ...["low-rank", "mixed", "nested"].map((name) =>
    [`experts ${name}`, smallText("switch", { "experts.name": name }), text] as const
  ),
  [
    "a shared expert",
    smallText("switch", { "model.sharedExpertWidth": 24, "model.sharedExpertMix": "learned" }),
    text,
  ],
  ["no experts", smallText("switch", { control: "no experts" }), text],
  ["recall", ofTask(recall.defaults, { "task.name": "recall", "task.facts": 64 }), facts],
  ["regimes", ofTask(regimes.defaults, ofRules), rules],
  ["best known routing", ofTask(regimes.defaults, ofRules, { control: "best known routing" }), rules],
  ["regression", ofTask(regression.defaults, { "task.name": "regression" }), points],
];

for (const [about, config, data] of cases) {
  Deno.test(`${about}: what is saved evaluates to the record's last loss, to the bit`, async () => {
    const store = openRunStore(folder, about.replaceAll(" ", "-"));
    const names = { run: about.replaceAll(" ", "-") };
    using run = await train(config, { backend, data, store, names, keepModel: "last", version: "7" });
    const before = backend.statistics().usedBytes;
    {
      using loaded = await loadModel(store.modelPath, { backend });
      const { end } = run.record;
      assertEquals(await lossOf(loaded.model, config, data, loaded.step), end!.loss);
      const { run: name, step, loss, kept, task, version } = loaded;
      assertEquals({ name, step, loss, kept, task, version }, {
        name: names.run,
        step: 6,
        loss: end!.loss,
        kept: "last",
        task: data.digest,
        version: "7",
      });
      assertEquals(loaded.config, config);
      assertEquals(loaded.vocabulary?.words, data.vocabulary?.words);
      assertEquals(loaded.vocabulary?.unit, data.vocabulary?.unit);
      assertEquals(Object.keys(loaded.model.params), Object.keys(run.trainer!.model.params));
    }
    assertEquals(backend.statistics().usedBytes, before, "a model that is closed leaves nothing");
  });
}

/** A run whose held-out loss falls and then rises: its rate is far too high in the end. */
const rising = smallText("deepseek", {
  "train.steps": 40,
  "train.learningRate": 2,
  "train.warmupShare": 1,
  "train.evaluations": 9,
});

Deno.test("the best step is the one with the lowest held-out loss, and a stopped run leaves the same file", async () => {
  const options: TrainOptions = { backend, data: text, keepModel: "best", names: { run: "best" } };
  const at = (name: string) => {
    Deno.mkdirSync(`${folder}/${name}`);
    return openRunStore(`${folder}/${name}`, "best");
  };
  const whole = at("whole");
  using run = await train(rising, { ...options, store: whole });
  const { evaluations } = run.record;
  const best = evaluations.reduce((least, each) => each.loss < least.loss ? each : least);
  assert(best.step > 0 && best.step < 40, `the best step is ${best.step}, at neither end`);
  {
    using loaded = await loadModel(whole.modelPath, { backend });
    assertEquals([loaded.step, loaded.loss, loaded.kept], [best.step, best.loss, "best"]);
    assertEquals(await lossOf(loaded.model, rising, text, loaded.step), best.loss);
  }
  const file = await Deno.readFile(whole.modelPath);
  // Before the best step with a checkpoint behind it, between the best step and its checkpoint, and after it.
  for (const stop of [best.step - 2, best.step + 1, best.step + 9]) {
    const store = at(`stopped ${stop}`);
    const stopping: TrainOptions = {
      ...options,
      store,
      checkpointEvery: 3,
      onStep({ step }) {
        if (step + 1 === stop) throw new Error("stopped here");
      },
    };
    await assertRejects(() => train(rising, stopping), Error, "stopped here");
    using _resumed = await train(rising, { ...options, store, resume: true });
    assertEquals(await Deno.readFile(store.modelPath), file);
  }
});

Deno.test("weights that are gone are not passed off as kept", async () => {
  const config = smallText("switch");
  const store = openRunStore(folder, "late");
  const options: TrainOptions = { backend, data: text, store, names: { run: "late" } };
  await assertRejects(
    () => train(config, { backend, data: text, keepModel: "last" }),
    TypeError,
    "Cannot keep the last model of a run: it has no store",
  );
  const again = (keepModel: "last" | "best") => () => train(config, { ...options, resume: true, keepModel });
  {
    using stopped = await createTrainer(config, options);
    while (stopped.steps < 4) await stopped.step();
    await stopped.save();
  }
  await assertRejects(
    again("best"),
    RangeError,
    "Cannot keep the best model of late: it was trained for 4 steps without keeping it",
  );
  using _ended = await train(config, { ...options, resume: true });
  await assertRejects(
    again("last"),
    RangeError,
    "Cannot keep the last model of late: it was trained for 6 steps",
  );
  const kept = openRunStore(folder, "kept");
  const keeping = { ...options, store: kept, names: { run: "kept" }, keepModel: "last" } as const;
  using _kept = await train(config, keeping);
  using same = await train(config, { ...keeping, resume: true });
  assertEquals(same.trainer, null);
  await assertRejects(
    () => train(config, { ...keeping, keepModel: "best", resume: true }),
    RangeError,
    "Cannot keep the best model of kept",
  );
});

Deno.test("a model is found by file, name, folder, bytes and Blob; folders with none or several are refused", async () => {
  const home = `${folder}/found`;
  await Deno.mkdir(`${home}/runs`, { recursive: true });
  const open = (place: Parameters<typeof loadModel>[0]) => loadModel(place, { backend });
  await assertRejects(
    () => open(home),
    RangeError,
    `Cannot load a model from ${home}: it holds none; train with`,
  );
  using trainer = await createTrainer(smallText("gshard"), { backend, data: text });
  await trainer.step();
  await trainer.saveModel(`${home}/runs/a.model.safetensors`);
  const file = await Deno.readFile(`${home}/runs/a.model.safetensors`);
  assertEquals(await trainer.encodeModel(), file);
  const places = [
    home,
    `${home}/`,
    `${home}/runs/a`,
    `${home}/runs/a.model.safetensors`,
    file,
    new Blob([file]),
  ];
  const embedding = await trainer.model.params.embedding.read();
  for (const place of places) {
    using loaded = await open(place);
    assertEquals([loaded.step, loaded.loss, loaded.kept], [1, null, undefined]);
    assertEquals(await loaded.model.params.embedding.read(), embedding);
    loaded.close();
  }
  await trainer.saveModel(`${home}/runs/b.model.safetensors`);
  const several = "it holds 2; name one of runs/a.model.safetensors, runs/b.model.safetensors";
  await assertRejects(() => open(home), RangeError, several);
  await assertRejects(
    () => open(`${home}/runs/c`),
    Error,
    `Cannot read ${home}/runs/c: no such file or folder`,
  );
});

Deno.test("files that are no saved model, or do not fit their config, are refused by what is wrong", async () => {
  using trainer = await createTrainer(smallText("deepseek"), { backend, data: text });
  const path = `${folder}/whole.safetensors`;
  await trainer.saveModel(path);
  const { tensors, metadata } = decodeCheckpoint(await Deno.readFile(path), "whole");
  const { norm, ...withoutNorm } = tensors;
  const { "state.blocks.1.router.bias": _, ...withoutState } = tensors;
  const config = JSON.parse(metadata.config);
  const withConfig = (changed: object) => ({
    ...metadata,
    config: JSON.stringify({ ...config, ...changed }),
  });
  const cases: readonly (readonly [Parameters<typeof encodeCheckpoint>, string])[] = [
    [[tensors, {}], "its metadata has no run's config; --save and saveModel write files that have one"],
    [[tensors, { ...metadata, switchyard: "{" }], "its metadata has no run's config"],
    [[withoutNorm, metadata], 'it has no "norm"'],
    [[withoutState, metadata], 'it has no "state.blocks.1.router.bias"'],
    [[{ ...tensors, more: norm }, metadata], 'it has a tensor "more", and the model of its config has none'],
    [
      [tensors, withConfig({ model: { ...config.model, width: 32 } })],
      '"embedding" has shape [61, 16], and the model\'s has [61, 32]',
    ],
  ];
  const before = backend.statistics().usedBytes;
  for (const [given, why] of cases) {
    const damaged = encodeCheckpoint(...given);
    await assertRejects(() => loadModel(damaged, { backend }), RangeError, `Cannot load the model: ${why}`);
  }
  const unknown = encodeCheckpoint(tensors, withConfig({ router: { name: "mine" } }));
  await assertRejects(
    () => loadModel(unknown, { backend }),
    RangeError,
    'Cannot find router "mine": there are',
  );
  const cut = (await Deno.readFile(path)).subarray(0, 4000);
  await assertRejects(() => loadModel(cut, { backend }), RangeError, "Cannot read the model: ");
  assertEquals(backend.statistics().usedBytes, before);
});

Deno.test("a task that gives other content now is refused", async () => {
  const config = ofTask(recall.defaults, { "task.name": "recall", "task.facts": 64 });
  using trainer = await createTrainer(config, { backend, data: { ...facts, digest: "ab12" } });
  await trainer.saveModel(`${folder}/other.safetensors`);
  await assertRejects(
    () => loadModel(`${folder}/other.safetensors`, { backend }),
    RangeError,
    `its task "recall" had the digest ab12 and now has ${facts.digest}`,
  );
});

Deno.test("text becomes tokens as in training, and comes back", () => {
  const corpus = parsePlainText("The cat (a tabby) sat, and sat. It purred! 猫が好き。 ".repeat(20), "cats");
  const vocabulary = buildVocabulary(corpus.documents, 100);
  const shown = (text: string) => {
    const decoding = decodeText(vocabulary);
    return Array.from(encodeText(text, vocabulary), (id) => decoding.next(id)).join("") + decoding.end();
  };
  // A sentence that breaks off has no end yet; one that is closed has.
  assertEquals(shown("The cat"), "the cat");
  assertEquals(shown("The cat sat. It"), "the cat sat.\nit");
  assertEquals(shown('The cat (a tabby) sat, and "sat.'), "the cat (a tabby) sat, and <unknown> sat.\n");
  assertEquals(shown("猫が好き。"), "猫が好き。\n");
  assertEquals([...encodeText("", vocabulary)], []);
  // Training tokens and those of the same text as a prompt are the same numbers.
  const trained = corpus.documents[0].words.map(vocabulary.idOf);
  const sentence = "The cat (a tabby) sat, and sat. It purred! 猫が好き。 ";
  assertEquals([...encodeText(sentence, vocabulary)].slice(0, 9), trained.slice(0, 9));

  const byte = bytes.vocabulary!;
  const decoding = decodeText(byte);
  const parts = Array.from(encodeText("Grüße 猫", byte), (id) => decoding.next(id));
  assertEquals(parts, ["G", "r", "", "ü", "", "ß", "e", " ", "", "", "猫"]);
  assertEquals([decoding.next(0xE7), decoding.end()], ["", "\uFFFD"]);
  assertNotEquals(byte.size, vocabulary.size);
});

Deno.test("sub-words are encoded and decoded by the tokenizer that was saved with the model", async () => {
  using trainer = await createTrainer(smallText("hash"), { backend, data: subwords });
  await trainer.saveModel(`${folder}/subwords.safetensors`);
  using loaded = await loadModel(`${folder}/subwords.safetensors`, { backend });
  const vocabulary = loaded.vocabulary!;
  for (const text of ["All human beings, born free", "Grüße 猫 🐈‍⬛!", "", " two  spaces\n"]) {
    const ids = encodeText(text, vocabulary);
    assertEquals(ids, tokenizer.encode(text));
    const decoding = decodeText(vocabulary);
    const pieces = Array.from(ids, (id) => decoding.next(id));
    assert(pieces.every((piece) => !piece.includes("\uFFFD")), "half a character waits for its rest");
    assertEquals(pieces.join("") + decoding.end(), tokenizer.decode(ids));
  }
});
