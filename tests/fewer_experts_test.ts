// Fewer experts: one that never gets tokens may go and nothing changes, two that are equal may be merged and nothing changes;
// what experts are chosen by is what is counted by hand; columns and state of routers follow; files open as any kept model.
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { type Batch, createModel, type Model } from "../models/model.ts";
import {
  alignedExperts,
  bestExperts,
  groupsOf,
  mergedExperts,
  mixAlong,
  observeExperts,
  taken,
  unitAxes,
  withFewerExperts,
} from "../models/resize/mod.ts";
import type { MoeSpec } from "../models/spec.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { recall } from "../tasks/recall.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";
import { configOf, type Settings } from "../training/config.ts";
import { evaluate, evaluationPlan } from "../training/evaluate.ts";
import { mergeExperts, pruneExperts } from "../training/fewer_experts.ts";
import { loadModel } from "../training/load_model.ts";
import { specOf } from "../training/spec_of.ts";
import { createTrainer } from "../training/trainer.ts";
import { least, madeUpData, tinyConfig, wordsAlone } from "./run_configs.ts";
import { cpuAndFolder } from "./own_folder.ts";

const { backend, folder } = await cpuAndFolder();

const V = 32;
const size: Settings = {
  "model.width": 16,
  "model.heads": 2,
  "model.layers": 2,
  "model.moeEvery": 1,
  "model.expertWidth": 12,
  "model.experts": 5,
};
/** Top-1 with weight 1 and room for all: a token's output is its expert's, whatever else there is. */
const alone: Settings = { router: { name: "switch", outputScale: "one", capacityRule: "dropless" } };

const made = (...settings: Settings[]): Model =>
  createModel(specOf(configOf(size, ...settings), wordsAlone(V)), createInit(backend, random(2)));

const batch: Batch = {
  tokenId_T: Int32Array.from({ length: 64 }, (_, at) => (at * 7 + at ** 2) % V),
  sequences: equalSequences(4, 16),
};

async function scoresOf(model: Model): Promise<Float32Array> {
  using _scope = memory(backend);
  const { logits_TV } = await model.forward(batch, { training: false, step: 0, random: random(0) });
  return await logits_TV!.read() as Float32Array;
}

/** Makes one expert of a layer another, its hidden units in another order, and gives it a column of the router. */
async function copyExpert(model: Model, layer: number, from: number, to: number, order: number[]) {
  const moe = model.spec.layers[layer].feedForward as MoeSpec;
  const units = unitAxes(moe, model.spec.D, backend);
  const experts = Array.from({ length: moe.E }, (_, e) => e === to ? from : e);
  for (const [name, axis] of Object.entries(units)) {
    const param = model.params[`blocks.${layer}.experts.${name}`];
    const given = { values: await param.read() as Float32Array, shape: param.shape };
    const { values } = mixAlong(given, { axis: 0, block: 1 }, taken(experts));
    if (axis) {
      const one = mixAlong(given, { axis: 0, block: 1 }, taken([from]));
      values.set(mixAlong(one, axis, taken(order)).values, to * values.length / moe.E);
    }
    param.assign(tensor(backend, values, param.shape));
  }
  const gate = model.params[`blocks.${layer}.router.gate`];
  const { values } = mixAlong(
    { values: await gate.read() as Float32Array, shape: gate.shape },
    { axis: 1, block: 1 },
    taken(experts),
  );
  gate.assign(tensor(backend, values, gate.shape));
}

const reversed = Array.from({ length: 12 }, (_, f) => 11 - f);

Deno.test("an expert that never gets a token may be pruned, and every score stays to the bit", async () => {
  using model = made(alone);
  // Of two equal columns the first wins every token.
  await copyExpert(model, 0, 1, 3, reversed);
  await copyExpert(model, 1, 0, 4, reversed);
  const observed = await observeExperts(model, [batch], { backend, step: 0 });
  assertEquals([observed[0].load[3], observed[1].load[4]], [0, 0]);
  assertEquals([observed[0].saliency[3], observed[1].saliency[4]], [0, 0]);
  for (const by of ["load", "saliency"] as const) {
    const kept = observed.map((each) => bestExperts(each, by, 4));
    assertEquals(kept[0], [0, 1, 2, 4]);
    using pruned = await withFewerExperts(
      model,
      kept.map((experts, layer) => ({ layer, mix: taken(experts) })),
    );
    assertEquals(await scoresOf(pruned), await scoresOf(model));
  }
});

const kinds: Settings[] = [
  { experts: { name: "feed-forward", bias: true } },
  { experts: { name: "swiglu", bias: true } },
  { experts: { name: "swiglu", bias: true, interleaved: true } },
];

for (const kind of kinds) {
  Deno.test(`two equal experts may be merged, whatever the order of their hidden units: ${JSON.stringify(kind)}`, async () => {
    using model = made(alone, kind);
    for (const [name, param] of Object.entries(model.params)) {
      if (!name.includes(".experts.")) continue;
      param.assign(createInit(backend, random(4)).parameter(name, param.shape, (each, n) => each.normal(n)));
    }
    await copyExpert(model, 0, 1, 3, reversed);
    // Columns differ, so that both get tokens.
    const gate = model.params["blocks.0.router.gate"];
    const own = createInit(backend, random(8)).parameter("gate", gate.shape, (each, n) => each.normal(n));
    gate.assign(own);
    const [observed] = await observeExperts(model, [batch], { backend, step: 0 });
    assert(observed.load[1] > 0 && observed.load[3] > 0, String(observed.load));
    const mix = mergedExperts(observed, observed.outputs, 4);
    assertEquals(mix.map((group) => group.map(([e]) => e)), [[0], [1, 3], [2], [4]]);
    const aligned = await alignedExperts(model, 0, [[1, 3]]);
    using merged = await withFewerExperts(model, [{ layer: 0, mix, aligned }]);
    using mixedUp = await withFewerExperts(model, [{ layer: 0, mix }]);
    for (const name of Object.keys(aligned)) {
      const of = async (one: Model, e: number) => {
        const values = await one.params[name].read();
        const each = values.length / one.params[name].shape[0];
        return values.slice(e * each, (e + 1) * each);
      };
      assertEquals(await of(merged, 1), await of(model, 1), name);
      assertNotEquals(await of(mixedUp, 1), await of(model, 1), name);
    }
    // With columns that are equal too, no score changes.
    await copyExpert(model, 0, 1, 3, reversed);
    using same = await withFewerExperts(model, [{
      layer: 0,
      mix,
      aligned: await alignedExperts(model, 0, [[1, 3]]),
    }]);
    assertEquals(await scoresOf(same), await scoresOf(model));
  });
}

Deno.test("loads, saliency and mean outputs are those counted by hand", async () => {
  const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));
  const config = configOf(recall.defaults, {
    "task.name": "recall",
    "task.facts": 64,
    "router.capacityRule": "dropless",
  });
  using trainer = await createTrainer(config, { backend, data });
  const { model } = trainer;
  const [layer] = model.spec.layers;
  assertEquals([model.spec.layers.length, layer.attention, layer.norm], [1, null, false]);
  const { D, input } = model.spec;
  assert(input.kind === "vectors");
  const tokenId_T = Int32Array.from({ length: 48 }, (_, t) => (t * 5) % 64);
  const given: Batch = { tokenId_T, sequences: equalSequences(48, 1) };
  const [observed] = await observeExperts(model, [given], { backend, step: 0 });
  const looks = await trainer.look(tokenId_T);
  const [w_in, w_out] = await Promise.all(
    ["in", "out"].map((name) => model.params[`blocks.0.experts.${name}`].read()),
  );
  const { E, F } = layer.feedForward as MoeSpec;
  const output = (t: number, e: number) => {
    const x = input.vectors.values.subarray(tokenId_T[t] * D, (tokenId_T[t] + 1) * D);
    const hidden = Array.from(
      { length: F },
      (_, f) => Math.max(0, x.reduce((sum, value, d) => sum + value * w_in[(e * D + d) * F + f], 0)),
    );
    return Array.from(
      { length: D },
      (_, d) => hidden.reduce((sum, value, f) => sum + value * w_out[(e * F + f) * D + d], 0),
    );
  };
  for (let e = 0; e < E; e++) {
    const own = looks.flatMap(({ layers: [{ kept }] }, t) =>
      kept.filter(({ expert }) => expert === e).map(({ weight }) => weight * Math.hypot(...output(t, e)))
    );
    assertEquals(observed.load[e], own.length);
    const mean = own.length === 0 ? 0 : own.reduce((sum, each) => sum + each, 0) / own.length;
    assertAlmostEquals(observed.saliency[e], mean, 1e-5);
    for (let d = 0; d < D; d++) {
      const sum = looks.reduce((total, _, t) => total + output(t, e)[d], 0);
      assertAlmostEquals(observed.outputs[e][d], sum / 48, 1e-5);
    }
  }
});

Deno.test("groups join the nearest on average, and shared experts stay apart", () => {
  // 0 and 1 are 1 apart; 5 is 4.5 from them on average and 5 from 10.
  assertEquals(groupsOf([[0], [1], [5], [10]], 3), [[0, 1], [2], [3]]);
  assertEquals(groupsOf([[0], [1], [5], [10]], 2), [[0, 1, 2], [3]]);
  assertEquals(groupsOf([[0], [1]], 1), [[0, 1]]);
  const observed = { layer: 0, shared: 1, load: [9, 1, 1, 0], saliency: [0, 1, 2, 3], outputs: [] };
  assertEquals(bestExperts(observed, "saliency", 2), [0, 3]);
  assertEquals(mergedExperts(observed, [[0], [0], [0], [0]], 2), [[[0, 1]], [[1, 0.5], [2, 0.5], [3, 0]]]);
  const unused = { ...observed, shared: 0, load: [0, 0, 3, 1] };
  assertEquals(mergedExperts(unused, [[0], [0], [9], [8]], 2), [[[0, 0.5], [1, 0.5]], [[2, 0.75], [
    3,
    0.25,
  ]]]);
});

const text = await madeUpData();
const calibration = { backend, data: text, batches: 2 };
const few: Settings = { "train.steps": 4, "train.learningRate": 0.02, "train.evaluations": 1 };
const routers: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["switch", {}],
  ["deepseek", { k: 2, shared: 1 }],
  ["top-any", { gate: "cosine" }],
  ["expert-choice", {}],
  ["base", {}],
];

for (const [router, options] of routers) {
  Deno.test(`${router}: different counts by layer, saved, loaded, and trained on`, async () => {
    const config = tinyConfig(router, options, least, few, {
      "model.layers": 2,
      "model.moeEvery": 1,
      "model.experts": 8,
      "model.equalCost": false,
    });
    using trainer = await createTrainer(config, { backend, data: text });
    while (trainer.steps < 4) await trainer.step();
    using kept = await loadModel(await trainer.encodeModel(), { backend });
    const before = backend.statistics().usedBytes;
    const operations = {
      pruned: () => pruneExperts(kept, [5, 3], "saliency", calibration),
      merged: () => mergeExperts(kept, [5, 3], { by: "weights", align: true }, calibration),
    };
    for (const [run, operation] of Object.entries(operations)) {
      using resized = await operation();
      const path = `${folder}/${router}-${run}.model.safetensors`;
      await resized.save(path, run);
      using loaded = await loadModel(path, { backend });
      assertEquals([loaded.run, loaded.step, loaded.config], [run, 4, resized.config]);
      const shapes = [0, 1].map((at) => loaded.model.params[`blocks.${at}.experts.in`].shape[0]);
      assertEquals(shapes, [5, 3]);
      assertEquals(resized.layers.map(({ mix }) => mix.length), [5, 3]);
      const lossOf = async (model: Model) => {
        const plan = evaluationPlan(config, text);
        return (await evaluate(model, { backend, data: text, plan, step: 4 })).loss;
      };
      const loss = await lossOf(resized.model);
      assertEquals(await lossOf(loaded.model), loss);
      const { train: own, ...rest } = resized.config;
      using next = await createTrainer({ ...rest, train: { ...own, from: path } }, { backend, data: text });
      assertEquals((await next.evaluate()).loss, loss);
      await next.step();
    }
    assertEquals(backend.statistics().usedBytes, before, "a model that is closed leaves nothing");
  });
}

Deno.test("what cannot be pruned or merged is refused by name", async () => {
  const kept = async (...settings: Settings[]) => {
    const config = tinyConfig("switch", {}, least, few, { "model.experts": 4 }, ...settings);
    using trainer = await createTrainer(config, { backend, data: text });
    return await loadModel(await trainer.encodeModel(), { backend });
  };
  const refused = async (settings: Settings[], keep: number | number[], why: string) => {
    using loaded = await kept(...settings);
    await assertRejects(() => pruneExperts(loaded, keep, "load", calibration), RangeError, why);
    await assertRejects(
      () => mergeExperts(loaded, keep, { by: "outputs", align: false }, calibration),
      RangeError,
      why.replace("Cannot prune", "Cannot merge").replace("Cannot keep", "Cannot merge into"),
    );
  };
  await refused([{ "model.moeEvery": 0 }], 2, "Cannot prune experts of switch-seed0: it has none");
  await refused([{ control: "random routing" }], 2, 'it is of the control "random routing"');
  await refused([], [2, 2, 2], "3 counts are given, and it has 1 mixtures");
  await refused([], 0, "Cannot keep 0 experts in layer 1: it has 4; choose a whole number from 1 to 4");
  await refused([], 5, "Cannot keep 5 experts in layer 1: it has 4");
  await refused([{ "router.name": "hash" }], 2, 'router "hash": it has no column for each of them');
  await refused([{ "router.name": "soft" }], 2, 'router "soft": it mixes tokens and sends none anywhere');
  await refused([{ "experts.name": "mixed" }], 2, "2 experts are no multiple of the 4 that its parts list");
  await refused(
    [{ "experts.name": "mixed", "model.experts": 8 }],
    4,
    'Cannot change the experts of layer 1: "blocks.1.experts.parts.0.in": its shape is',
  );
  await refused(
    [{ router: { name: "top-any", k: 4 }, "model.equalCost": false }],
    2,
    "k is 4, and there are 2 experts",
  );
});
