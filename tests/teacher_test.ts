// Distillation: what is added to the loss is the divergence from the teacher's scores, as counted by hand; a stage ends when
// it should; a student that starts as its teacher has nothing to learn from it; soft answers beat noisy ones.
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import type { Model } from "../models/model.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { regimes } from "../tasks/regimes.ts";
import { regression } from "../tasks/regression.ts";
import type { TaskData } from "../tasks/task.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import { batchOf } from "../training/evaluate.ts";
import { loadModel } from "../training/load_model.ts";
import { openRunStore } from "../training/run_store.ts";
import { train } from "../training/train.ts";
import { createTrainer } from "../training/trainer.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";
import { cpuAndFolder } from "./own_folder.ts";

const { backend, folder } = await cpuAndFolder();

const text = await madeUpData();
const few: Settings = { "train.steps": 6, "train.learningRate": 0.02, "train.evaluations": 1 };
const smallText = (...settings: Settings[]) => tinyConfig("switch", {}, least, few, ...settings);

/** Trains a run, keeps its model, and gives the file. */
async function kept(run: string, config: RunConfig, data: TaskData): Promise<string> {
  const store = openRunStore(folder, run);
  using _run = await train(config, { backend, data, store, names: { run }, keepModel: "last" });
  return store.modelPath;
}

const teacher = await kept("teacher", smallText({ seed: 5 }), text);

async function scoresOf(model: Model, config: RunConfig, data: TaskData, step: number): Promise<number[][]> {
  const examples = data.trainingExamples({ ...config.train, random: random(config.seed).split("data") })(
    step,
  );
  const { target_T: _, ...batch } = batchOf(examples);
  using _scope = memory(backend);
  const { logits_TV } = await model.forward(batch, { training: false, step, random: random(0), backend });
  const values = await logits_TV!.read();
  const [T, V] = logits_TV!.shape;
  return Array.from({ length: T }, (_, t) => Array.from(values.subarray(t * V, (t + 1) * V)));
}

function logSoftmax(scores: number[]): number[] {
  const most = Math.max(...scores);
  const sum = Math.log(scores.reduce((total, score) => total + Math.exp(score - most), 0));
  return scores.map((score) => score - most - sum);
}

// Routers without noise and room for all: a pass in training is then one in evaluation.
const quiet: Settings = { router: { name: "switch", jitter: 0, capacityRule: "dropless" } };

Deno.test("the teacher's part is its share of KL(teacher || student) over the tokens, as counted by hand", async () => {
  const config = smallText(quiet, { "train.teacher": teacher, "train.teacherShare": 0.75 });
  using trainer = await createTrainer(config, { backend, data: text });
  using loaded = await loadModel(teacher, { backend });
  const [theirs, own] = [
    await scoresOf(loaded.model, config, text, 0),
    await scoresOf(trainer.model, config, text, 0),
  ];
  const divergences = theirs.map((scores, t) => {
    const [p, q] = [logSoftmax(scores), logSoftmax(own[t])];
    return p.reduce((sum, log, v) => sum + Math.exp(log) * (log - q[v]), 0);
  });
  const mean = divergences.reduce((sum, each) => sum + each, 0) / divergences.length;
  const { row } = await trainer.step();
  assert(mean > 0.01, `${mean}`);
  assertAlmostEquals(row.losses.teacher, 0.75 * mean, 1e-5);
});

Deno.test("of squared errors it is the squared difference from the teacher's values", async () => {
  const data = await regression.load(parseTaskOptions(regression));
  const settings: Settings[] = [regression.defaults, { "task.name": "regression", "train.steps": 3 }];
  const path = await kept("regression", configOf(...settings, { seed: 3 }), data);
  const config = configOf(...settings, { "train.teacher": path, "train.teacherShare": 0.5 });
  using trainer = await createTrainer(config, { backend, data });
  using loaded = await loadModel(path, { backend });
  const [theirs, own] = [
    await scoresOf(loaded.model, config, data, 0),
    await scoresOf(trainer.model, config, data, 0),
  ];
  const squares = theirs.map((values, t) =>
    values.reduce((sum, value, r) => sum + (value - own[t][r]) ** 2, 0)
  );
  const mean = squares.reduce((sum, each) => sum + each, 0) / squares.length;
  const { row } = await trainer.step();
  // Jitter of the router is noise of a hundredth.
  assertAlmostEquals(row.losses.teacher / (0.5 * mean), 1, 0.05);
});

Deno.test("a student that starts as its teacher has nothing to learn from it", async () => {
  const path = await kept("quiet", smallText(quiet), text);
  const config = smallText(quiet, { "train.from": path, "train.teacher": path });
  using trainer = await createTrainer(config, { backend, data: text });
  const { row } = await trainer.step();
  assertAlmostEquals(row.losses.teacher, 0, 1e-6);
});

Deno.test("a share of 0 trains as without a teacher, a stage ends after its steps, and both are resumed to the same bits", async () => {
  const losses = async (...settings: Settings[]) => {
    using run = await train(smallText(quiet, ...settings), { backend, data: text });
    return run.record.steps;
  };
  const alone = await losses();
  const idle = await losses({ "train.teacher": teacher, "train.teacherShare": 0 });
  // The loss is the same sum, of scores that are kept in the one and used up in the other.
  idle.forEach(({ loss }, step) => assertAlmostEquals(loss, alone[step].loss, 1e-4));
  const staged: Settings = { "train.teacher": teacher, "train.teacherSteps": 2 };
  const steps = await losses(staged);
  assertEquals(steps.map(({ losses }) => "teacher" in losses), [true, true, false, false, false, false]);
  assertNotEquals(steps[3].loss, alone[3].loss);

  const config = smallText(quiet, staged);
  const store = openRunStore(folder, "staged");
  {
    using trainer = await createTrainer(config, { backend, data: text, store });
    await trainer.step();
    await trainer.save();
  }
  using resumed = await train(config, { backend, data: text, store, resume: true });
  assertEquals(resumed.record.steps, steps);
});

Deno.test("a run whose teacher is another when it is resumed is refused", async () => {
  const path = `${folder}/changing.model.safetensors`;
  await Deno.copyFile(teacher, path);
  const config = smallText({ "train.teacher": path });
  const store = openRunStore(folder, "changing");
  {
    using trainer = await createTrainer(config, { backend, data: text, store });
    await trainer.step();
    await trainer.save();
  }
  await Deno.copyFile(await kept("other", smallText({ seed: 6 }), text), path);
  await assertRejects(
    () => train(config, { backend, data: text, store, resume: true }),
    RangeError,
    "its teacherWeights was",
  );
});

Deno.test("teachers of other words or another kind of output are refused, and leave nothing behind", async () => {
  const [first, second, ...others] = text.vocabulary!.words;
  const swapped = { ...text, vocabulary: { ...text.vocabulary!, words: [second, first, ...others] } };
  const points = await regression.load(parseTaskOptions(regression));
  const before = backend.statistics().usedBytes;
  const refused = (config: RunConfig, data: TaskData, why: string) =>
    assertRejects(() => createTrainer(config, { backend, data }), RangeError, why);
  const learning = { "train.teacher": teacher };
  await refused(
    smallText(learning),
    swapped,
    "Cannot learn from teacher: its vocabulary is not that of the task",
  );
  await refused(
    configOf(regression.defaults, { "task.name": "regression" }, learning),
    points,
    "Cannot learn from teacher: its vocabulary is not that of the task",
  );
  const path = `${folder}/regression.model.safetensors`;
  const data = await regimes.load(parseTaskOptions(regimes, { inputs: 512 }));
  const rules = { ...regimes.defaults, "task.name": "regimes", "task.inputs": 512 };
  await refused(
    configOf(rules, { "train.teacher": path }),
    data,
    "Cannot learn from regression: rows of its input and kind of its output are",
  );
  assertEquals(backend.statistics().usedBytes, before);
});

Deno.test("where answers are noisy, a student of fewer experts learns more with a teacher than without, in two stages too", async () => {
  const data = await regimes.load(parseTaskOptions(regimes, { inputs: 8192, noise: 0.4 }));
  const inputs: Settings = { "task.name": "regimes", "task.inputs": 8192, "task.noise": 0.4 };
  const of = (...settings: Settings[]) => configOf(regimes.defaults, inputs, ...settings);
  const path = await kept("regimes", of({ "train.steps": 400 }), data);
  const learning: Settings = { "train.teacher": path, "train.teacherShare": 0.75 };
  for (const seed of [1, 2]) {
    const loss = async (settings: Settings) => {
      using run = await train(of({ "model.experts": 4, "train.steps": 60, seed }, settings), {
        backend,
        data,
      });
      return run.record.end!.loss;
    };
    const alone = await loss({});
    const taught = await loss(learning);
    const staged = await loss({ ...learning, "train.teacherSteps": 40 });
    assert(taught < alone && staged < alone, `seed ${seed}: ${alone}, ${taught}, ${staged}`);
  }
});
