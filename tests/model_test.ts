// A model is its spec: equal cost cuts experts, costs are those of the arrays and products there are, controls are what
// they declare, and a trainer takes steps, looks, evaluates, saves and goes on.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { experts, findExperts, parseExpertOptions } from "../experts/registry.ts";
import { sizeOf } from "../kernels/kernel.ts";
import { type ControlName, controls } from "../models/controls.ts";
import { activeFlop, flopOf, weightsOf } from "../models/cost.ts";
import { equalCost } from "../models/equal_cost.ts";
import { createModel, type Model } from "../models/model.ts";
import { sizes } from "../models/sizes.ts";
import { choicesOf, type ModelSpec, moeLayers } from "../models/spec.ts";
import { routers } from "../routers/registry.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { recall } from "../tasks/recall.ts";
import { regression } from "../tasks/regression.ts";
import { regimes } from "../tasks/regimes.ts";
import type { TaskData } from "../tasks/task.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { seesLaterTokens } from "../training/causality.ts";
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import { evaluate } from "../training/evaluate.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { openRunStore } from "../training/run_store.ts";
import { specOf } from "../training/spec_of.ts";
import { train } from "../training/train.ts";
import { createTrainer } from "../training/trainer.ts";
import { dryBackend, dryInit } from "../tools/dry_step.ts";
import { least, madeUpData, tinyConfig, wordsAlone } from "./run_configs.ts";

const backend = await cpu({ threads: 1 });
const text = await madeUpData();

function made(spec: ModelSpec, on = backend): Model {
  return createModel(spec, createInit(on, random(3)));
}

/** A small recall run, and its facts. */
const recallOptions = { facts: 64, objects: 8 };
const facts = await recall.load(parseTaskOptions(recall, recallOptions));
function recallConfig(settings: Settings = {}): RunConfig {
  const task = { "task.name": "recall", "task.facts": 64, "task.objects": 8 };
  return configOf(recall.defaults, task, { "train.length": 64, "train.steps": 60 }, settings);
}

Deno.test("equal cost: K choices cut an expert into K, and active FLOPs and weights stay", () => {
  const spec = (router: string) => specOf(configOf(sizes.small, { "router.name": router }), wordsAlone(100));
  const [one, two] = [equalCost(spec("switch")), equalCost(spec("gshard"))];
  const cuts = [one, two].map((each) =>
    moeLayers(each).map(({ at, moe }) => [at, moe.E, choicesOf(moe), moe.F])
  );
  assertEquals(cuts, [[[1, 8, 1, 256], [3, 8, 1, 256]], [[1, 16, 2, 128], [3, 16, 2, 128]]]);
  assertEquals(flopOf(one), flopOf(two));
  assertEquals(weightsOf(one), weightsOf(two));
  assertEquals(one, spec("switch"));
  // Without it K = 2 costs twice as much in its experts.
  assertEquals(flopOf(spec("gshard")).experts, 2 * flopOf(one).experts);
  const odd = configOf(sizes.small, { "router.name": "gshard", "model.expertWidth": 15 });
  assertThrows(
    () => equalCost(specOf(odd, wordsAlone(9))),
    RangeError,
    'Cannot compare router "gshard" at equal cost: its 2 choices do not divide 15 hidden units',
  );
});

/** Four heads of width 8, two of keys and values, half of each head turned. */
const groupedHeads: Settings = { "model.heads": 4, "model.keyValueHeads": 2, "model.rotaryWidth": 4 };

const learnedShares: Settings = { "model.sharedExpertWidth": 24, "model.sharedExpertMix": "learned" };

/** Specs of every router, of every kind of experts, and of every shape of layer. */
async function manySpecs(): Promise<[string, ModelSpec][]> {
  const points = await regression.load(parseTaskOptions(regression));
  const rules = await regimes.load(parseTaskOptions(regimes));
  const layers = [
    { feedForward: "dense", attention: false },
    { feedForward: "none" },
    { feedForward: "moe", experts: 3, expertWidth: 6 },
    { feedForward: "dense", feedForwardWidth: 7 },
  ];
  return [
    ...routers().map((router): [string, ModelSpec] => [router.name, specOf(tinyConfig(router), text)]),
    ...experts().filter(({ frozen }) => !frozen).flatMap(({ name, options }) => {
      const biased = options.safeParse({ bias: true }).success ? [false, true] : [false];
      return biased.map((bias): [string, ModelSpec] => {
        const given = { experts: { name, ...(bias ? { bias } : {}) } };
        return [`${name}${bias ? " with biases" : ""}`, specOf(tinyConfig("hash", {}, given), text)];
      });
    }),
    ["layers", specOf(tinyConfig("gshard", {}, { "model.layers": 4, "model.perLayer": layers }), text)],
    ["grouped heads", specOf(tinyConfig("hash", {}, groupedHeads), text)],
    ["a shared expert", specOf(tinyConfig("hash", {}, { "model.sharedExpertWidth": 24 }), text)],
    ["a shared expert, learned shares", specOf(tinyConfig("hash", {}, learnedShares), text)],
    ["without norm", specOf(tinyConfig("hash", {}, { "model.norm": false }), text)],
    ["recall", specOf(recallConfig(), facts)],
    ["regimes", specOf(configOf({ "task.name": "regimes" }, regimes.defaults), rules)],
    ["regression", specOf(configOf({ "task.name": "regression" }, regression.defaults), points)],
  ];
}

Deno.test("weights are counted as many as a model holds, by part", async () => {
  for (const [name, spec] of await manySpecs()) {
    const model = made(spec);
    const valuesOf = (keep: (path: string) => boolean) =>
      Object.entries(model.params).filter(([path]) => keep(path))
        .reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0);
    const { total, router, experts, active } = model.weights;
    assertEquals(total, valuesOf(() => true), name);
    assertEquals(router, valuesOf((path) => path.includes(".router.")), name);
    assertEquals(experts, valuesOf((path) => path.includes(".experts.")), name);
    const idle = moeLayers(spec).reduce((sum, { at, moe }) => {
      const bank = moe.experts.create({ ...moe, D: spec.D }, moe.expertOptions, dryInit(dryBackend([])));
      const own = Object.values(bank.params).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      assertEquals(valuesOf((path) => path.startsWith(`blocks.${at}.experts.`)) >= own, true);
      return sum + own * (1 - choicesOf(moe) / moe.E);
    }, 0);
    assertAlmostEquals(active, total - idle, 1e-6, name);
    model.free();
  }
});

Deno.test("forward FLOPs are those of the products that run, by part", async () => {
  const data = { recall: facts, regression: await regression.load(parseTaskOptions(regression)) };
  const cases: [string, RunConfig, TaskData][] = [
    // Hash and forced balance drop nothing and have no gate whose product would count. Where experts differ, the contract
    // suite counts what each does.
    ...experts().filter(({ flopOfExpert, frozen }) => !flopOfExpert && !frozen).map((
      { name },
    ): [string, RunConfig, TaskData] => [
      name,
      tinyConfig("hash", {}, { "experts.name": name, "train.batch": 2 }),
      text,
    ]),
    ["grouped heads", tinyConfig("hash", {}, groupedHeads, { "train.batch": 2 }), text],
    ["a shared expert", tinyConfig("hash", {}, learnedShares, { "train.batch": 2 }), text],
    ["two choices", tinyConfig("forced-balance", { k: 2 }, { "train.batch": 2 }), text],
    ["recall", recallConfig({ "router.name": "hash" }), data.recall],
    [
      "regression",
      configOf({ "task.name": "regression" }, regression.defaults, { "router.name": "hash" }),
      data.regression,
    ],
  ];
  for (const [name, config, task] of cases) {
    let products = 0;
    const counting: typeof backend = {
      ...backend,
      run(kernel, inputs, params) {
        const { flop } = kernel.cost(inputs.map(({ type }) => type), params);
        // A loss over a vocabulary makes its scores itself.
        if (kernel.name.includes("matmul")) products += flop;
        return backend.run(kernel, inputs, params);
      },
    };
    const spec = specOf(config, task);
    const model = made(spec, counting);
    const [batch] = task.evaluationExamples(config.train);
    await evaluate(model, { backend: counting, data: task, plan: [batch], step: 0 });
    const heads = spec.layers.filter(({ attention }) => attention).length;
    // Attention's own two products over (L + 1) / 2 keys each are one kernel.
    const scores = heads * 2 * spec.D * (spec.length + 1);
    assertEquals(products / batch.tokenId.length, activeFlop(model.flop) - scores, name);
    model.free();
  }
});

Deno.test("heads of keys and values are shared, part of a head turns, and such a model trains", async () => {
  const plain = specOf(tinyConfig("switch", {}, { "model.heads": 4 }), text);
  const spelled = { "model.heads": 4, "model.keyValueHeads": 4, "model.rotaryWidth": 8 };
  assertEquals(specOf(tinyConfig("switch", {}, spelled), text), plain);
  const spec = specOf(tinyConfig("switch", {}, groupedHeads), text);
  assertEquals(spec.layers[0].attention, { heads: 4, keyValueHeads: 2, rotaryWidth: 4 });
  // Two heads of keys and two of values, 8 columns each, are not made.
  const left = 4 * 8 * 32 * spec.layers.length;
  assertEquals(weightsOf(plain).total - weightsOf(spec).total, left);
  assertEquals(flopOf(plain).attention - flopOf(spec).attention, 2 * left);
  const losses = async (settings: Settings) => {
    using run = await train(tinyConfig("switch", {}, { "train.steps": 30 }, settings), {
      backend,
      data: text,
    });
    return [run.record.steps[0].loss, run.record.end!.loss];
  };
  const [first, last] = await losses(groupedHeads);
  assert(last < first - 0.5, `${first} to ${last}`);
  const whole = await losses({ ...groupedHeads, "model.rotaryWidth": 8 });
  assert(whole[0] !== first, "the width that turns changes nothing");
});

/** Kinds of experts that no single one of their own kind can stand for. */
const unlike: readonly Settings[] = [
  { "experts.name": "low-rank", "experts.rank": 2 },
  { "experts.name": "nested", "experts.innerCount": 3, "experts.inner.name": "feed-forward" },
  { "experts.name": "mixed", "experts.parts": [{ name: "feed-forward", count: 3 }, { name: "zero" }] },
];

for (const settings of unlike) {
  Deno.test(`dense controls of ${settings["experts.name"]} experts are as wide as makes costs equal`, async () => {
    const spec = (control: ControlName | null) =>
      specOf(tinyConfig("switch", {}, settings, { control, "model.width": 64 }), text);
    const [studied, flops, weights] = [
      spec(null),
      spec("dense, equal FLOPs"),
      spec("dense, equal parameters"),
    ];
    // A width is a whole number: half a unit of two matrices is how far it may be off.
    const unit = 2 * studied.D;
    const mixtures = moeLayers(studied).length;
    assertEquals(moeLayers(flops).map(({ moe }) => moe.E), new Array(mixtures).fill(1));
    assertAlmostEquals(flopOf(flops).experts, flopOf(studied).experts, mixtures * unit);
    assertAlmostEquals(weightsOf(weights).experts, weightsOf(studied).experts, mixtures * unit / 2);
    assert(weightsOf(weights).experts > 1.1 * weightsOf(flops).experts, "the two controls are one");
    using run = await train(
      tinyConfig("switch", {}, settings, { control: "dense, equal FLOPs", "train.steps": 2 }),
      { backend, data: text },
    );
    assert(run.record.end!.loss > 0);
  });
}

Deno.test("a router's products are counted from its matrices", () => {
  const model = made(specOf(tinyConfig("switch", {}, { "model.moeEvery": 1 }), text));
  assertEquals(model.flop.router, 2 * 2 * 32 * 4);
  model.free();
  const without = made(specOf(tinyConfig("hash"), text));
  assertEquals([without.flop.router, without.weights.router], [0, 0]);
  without.free();
});

Deno.test("controls are what they declare, at equal cost and from equal weights outside experts", async () => {
  const spec = (control: ControlName | null) =>
    specOf(recallConfig({ control, "model.equalCost": true }), facts);
  const studied = spec(null);
  const [{ moe: { E, F } }] = moeLayers(studied);
  const shape = (control: ControlName) =>
    moeLayers(spec(control)).map(({ moe }) => [moe.E, moe.F, choicesOf(moe)]);
  assertEquals(Object.fromEntries(controls.map((control) => [control, shape(control)])), {
    "no experts": [],
    "random routing": [[E, F, 1]],
    "dense, equal FLOPs": [[1, F, 1]],
    "dense, equal parameters": [[1, E * F, 1]],
    "best known routing": [[E, F, 1]],
  });
  for (const control of ["random routing", "dense, equal FLOPs", "best known routing"] as const) {
    assertEquals(activeFlop(flopOf(spec(control))), activeFlop(flopOf(studied)), control);
  }
  // Equal but for the biases of the second matrix, of which one expert has one.
  assertEquals(weightsOf(spec("dense, equal parameters")).experts, weightsOf(studied).experts - (E - 1) * 32);
  const none = made(spec("no experts"));
  assertEquals(Object.keys(none.params), ["norm"]);
  assertEquals([none.weights.experts, none.flop.experts, none.routerParams], [0, 0, []]);
  const all = made(studied);
  assertEquals(await none.params.norm.read(), await all.params.norm.read());
  none.free();
  all.free();
  const attended = ["no experts", "dense, equal FLOPs"] as const;
  const [bare, dense] = attended.map((control) => made(specOf(tinyConfig("gshard", {}, { control }), text)));
  for (const name of Object.keys(bare.params)) {
    assertEquals(await bare.params[name].read(), await dense.params[name].read(), name);
  }
  assertEquals(moeLayers(dense.spec).map(({ moe }) => [moe.E, moe.F]), [[1, 64]]);
  bare.free();
  dense.free();
  assertThrows(
    () => specOf(tinyConfig("switch", {}, { control: "best known routing" }), text),
    RangeError,
    'Cannot use control "best known routing": the task has none; there are "no experts", "random routing",',
  );
});

Deno.test("best known routing sends each fact to its group's expert, and stores more facts than random routing", async () => {
  const losses: Record<string, number> = {};
  for (const control of ["best known routing", "random routing", "no experts"] as const) {
    using run = await train(recallConfig({ control }), { backend, data: facts });
    losses[control] = run.record.end!.loss;
    if (control !== "best known routing") continue;
    const found = await run.trainer!.look(Int32Array.from({ length: 64 }, (_, fact) => 63 - fact));
    const group_V = facts.bestRouting!.group_V;
    for (const { tokenId, layers } of found) {
      assertEquals(layers, [{
        layer: 0,
        wanted: [group_V[tokenId] % 8],
        kept: [{ expert: group_V[tokenId] % 8, weight: 1 }],
        dropped: [],
        probability: null,
      }]);
    }
  }
  assert(losses["best known routing"] < losses["random routing"] / 2, JSON.stringify(losses));
  assert(losses["random routing"] < losses["no experts"], JSON.stringify(losses));
});

Deno.test("random routing draws anew in every step and evaluates the same every time", async () => {
  using trainer = await createTrainer(recallConfig({ control: "random routing" }), { backend, data: facts });
  const { model } = trainer;
  const expertsIn = async (training: boolean, step: number) => {
    using _scope = memory(backend);
    const tokenId_T = Int32Array.from({ length: 64 }, (_, at) => at);
    const { layers: [{ routing }] } = await model.forward(
      { tokenId_T, sequences: equalSequences(1, 64) },
      { training, step, random: random(5).split(step), backend },
    );
    return [...await routing.expert_N.read()].join();
  };
  const steps = [await expertsIn(true, 0), await expertsIn(true, 1), await expertsIn(true, 2)];
  assertEquals(new Set(steps).size, 3);
  assertEquals(await expertsIn(true, 1), steps[1]);
  assertEquals(await expertsIn(false, 1), await expertsIn(false, 2));
});

Deno.test("a trainer takes steps, looks, evaluates, saves and goes on to the same bits", async () => {
  const folder = await Deno.makeTempDir();
  const config = tinyConfig("gshard", {}, least, { "train.steps": 6 });
  using whole = await train(config, { backend, data: text });
  const store = openRunStore(folder, "gshard-seed0");
  const before = backend.statistics().usedBytes;
  {
    using trainer = await createTrainer(config, { backend, data: text, store });
    assertEquals([trainer.steps, trainer.record().evaluations], [0, []]);
    const first = await trainer.evaluate();
    const { row, timing } = await trainer.step();
    assertEquals([row, timing.step], [whole.record.steps[0], 0]);
    assertEquals(trainer.record().evaluations[0], whole.record.evaluations[0]);
    assertEquals(first.loss, whole.record.evaluations[0].loss);
    // Looking changes nothing: the run below ends in the bits of one that was not looked at.
    const [token, ...others] = await trainer.look(Int32Array.of(5, 9, 5, 7));
    assertEquals([token.tokenId, others.length, token.layers.map(({ layer }) => layer)], [5, 3, [1]]);
    const [{ wanted, kept, dropped, probability }] = token.layers;
    assertEquals([wanted.length, kept.length, dropped], [2, 2, []]);
    assertAlmostEquals(probability!.reduce((sum, each) => sum + each), 1, 1e-6);
    assertEquals(wanted[0], probability!.indexOf(Math.max(...probability!)));
    await trainer.step();
    await assertRejects(
      () => trainer.finish(),
      RangeError,
      "Cannot finish gshard-seed0: it has taken 2 of its",
    );
    await trainer.save();
    await trainer.step();
    // Disposal after this frees nothing twice.
    trainer.close();
  }
  assertEquals(backend.statistics().usedBytes, before, "a closed trainer left bytes behind");
  using trainer = await createTrainer(config, { backend, data: text, store, resume: true });
  assertEquals([trainer.steps, trainer.record().steps.length], [2, 2]);
  while (trainer.steps < 6) await trainer.step();
  await assertRejects(
    () => trainer.step(),
    RangeError,
    "Cannot take step 6 of gshard-seed0: it has train.steps = 6",
  );
  await trainer.finish();
  assertEquals(recordText(recordRows(trainer.record())), recordText(recordRows(whole.record)));
  assertEquals((await store.finished())!.record, trainer.record());
  assertEquals(await store.saved(), null);
  using without = await createTrainer(config, { backend, data: text });
  await assertRejects(() => without.save(), TypeError, "Cannot save gshard-seed0: it has no store");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a trained model is found to see later tokens where it does, and not where it does not", async () => {
  const crowded = { capacityFactor: 0.5, evaluationCapacityFactor: 0.5 };
  const found: Record<string, boolean> = {};
  const cases: [string, string, Record<string, unknown>][] = [
    ["switch", "switch", {}],
    ["switch that drops", "switch", crowded],
    ["switch that drops by probability", "switch", { ...crowded, dropOrder: "probability" }],
    ["gshard over the batch", "gshard", crowded],
    ["expert-choice", "expert-choice", {}],
    ["hash", "hash", {}],
  ];
  for (const [name, router, options] of cases) {
    using run = await train(tinyConfig(router, options, { "train.steps": 12 }), { backend, data: text });
    const { model } = run.trainer!;
    const [examples] = text.evaluationExamples(tinyConfig(router).train);
    found[name] = await seesLaterTokens(model, { backend, examples, step: 12 });
    assertEquals(run.record.end!.causal, { tested: true, holds: !found[name] }, name);
  }
  assertEquals(found, {
    "switch": false,
    "switch that drops": false,
    "switch that drops by probability": true,
    "gshard over the batch": true,
    "expert-choice": true,
    "hash": false,
  });
});

Deno.test("a model whose later part refuses its options leaves nothing on the backend", () => {
  const before = backend.statistics().usedBytes;
  // The first mixture is made, the second one's slots do not fit; then experts that the CPU cannot store.
  const layers = [{ feedForward: "moe" }, { router: { name: "soft", slots: 3 } }];
  const late = specOf(tinyConfig("switch", {}, { "model.equalCost": false, "model.perLayer": layers }), text);
  assertThrows(() => made(late), RangeError, "Cannot make a soft router: 3 slots");
  const half = specOf(tinyConfig("switch", {}, { "experts.precision": "half" }), text);
  assertThrows(() => made(half), RangeError, "in half precision");
  // Frozen vectors are made first.
  const frozen = specOf(recallConfig({ "router.name": "soft", "router.slots": 3 }), facts);
  assertThrows(() => made(frozen), RangeError, "Cannot make a soft router: 3 slots");
  assertEquals(backend.statistics().usedBytes, before);
});

Deno.test("experts that a backend cannot store are refused in one sentence", () => {
  const swiglu = findExperts("swiglu");
  assertEquals(parseExpertOptions(swiglu, { precision: "half" }).precision, "half");
  const spec = specOf(tinyConfig("switch", {}, { "experts.precision": "half" }), text);
  assertThrows(() => made(spec), RangeError, "Cannot run experts in half precision on cpu");
});
