// Upcycling: a model whose experts are copies of a dense network gives the dense model's scores; what is drawn anew is as much
// as was asked for, with the statistics of what it replaces; whatever does not fit is refused by name.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Batch, Model } from "../models/model.ts";
import { createModel } from "../models/model.ts";
import { startFrom, type StartOptions, upcycle, type Weights } from "../models/resize/mod.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import { openRunStore } from "../training/run_store.ts";
import { specOf } from "../training/spec_of.ts";
import { train } from "../training/train.ts";
import { createTrainer } from "../training/trainer.ts";
import { least, madeUpData, tinyConfig, wordsAlone } from "./run_configs.ts";
import { cpuAndFolder } from "./own_folder.ts";

const { backend, folder } = await cpuAndFolder();

const V = 32;
const size: Settings = {
  "model.width": 16,
  "model.heads": 2,
  "model.layers": 2,
  "model.feedForwardWidth": 24,
  "model.expertWidth": 24,
  "model.experts": 4,
};
const dense: Settings = { "model.moeEvery": 0 };
const sparse: Settings = { "model.moeEvery": 1, router: { name: "top-any", k: 2, capacityFactor: 0 } };
const one: Settings = {
  "model.moeEvery": 1,
  "model.experts": 1,
  router: { name: "forced-balance", k: 1 },
};

function made(seed: number, ...settings: Settings[]): Model {
  return createModel(
    specOf(configOf(size, ...settings), wordsAlone(V)),
    createInit(backend, random(seed).split("init")),
  );
}

const batch: Batch = {
  tokenId_T: Int32Array.from({ length: 64 }, (_, at) => (at * 7 + at ** 2) % V),
  sequences: equalSequences(4, 16),
};

async function scoresOf(model: Model): Promise<Float32Array> {
  using _scope = memory(backend);
  const { logits_TV } = await model.forward(batch, { training: false, step: 0, random: random(0) });
  return await logits_TV!.read() as Float32Array;
}

/** Largest difference over the largest value. */
function distance(a: Float32Array, b: Float32Array): number {
  const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0) / largest;
}

const plain: StartOptions = { conversion: "copy", share: 0.5, random: random(1), called: "the dense model" };

async function startedFrom(source: Settings[], target: Settings[], options: Partial<StartOptions> = {}) {
  using from = made(0, ...source);
  // Biases start at 0, where a mistake in them would not show.
  for (const [name, param] of Object.entries(from.params)) {
    if (!name.endsWith("Bias")) continue;
    param.assign(createInit(backend, random(9)).parameter(name, param.shape, (each, n) => each.normal(n)));
  }
  const model = made(1, ...target);
  const upcycled = await startFrom(model, from, { ...plain, ...options });
  return { model, upcycled, expected: await scoresOf(from) };
}

// Rounding: sums of 2 or 4 terms more than the dense network has, in each of two layers.
const ROUNDING = 16 * 2 ** -24;

const kinds: readonly (readonly [string, Settings[], Settings[]])[] = [
  ["ReLU", [dense], [sparse]],
  ["ReLU with biases", [dense, { "experts.bias": true }], [sparse, { "experts.bias": true }]],
  ...[
    { name: "swiglu", bias: true },
    { name: "swiglu", bias: true, interleaved: true, limit: 7, shift: 1 },
    { name: "feed-forward", activation: "relu-squared" },
  ].map((experts) =>
    [`one expert ${JSON.stringify(experts)}`, [one, { experts }], [sparse, { experts }]] as const
  ).map(([about, from, to]) => [about, [...from], [...to]] as [string, Settings[], Settings[]]),
];

for (const [about, from, to] of kinds) {
  Deno.test(`copies of ${about} with weights that sum to 1 give the dense model's scores`, async () => {
    const { model, upcycled, expected } = await startedFrom(from, to);
    using _model = model;
    assertEquals(upcycled, [0, 1]);
    const far = distance(expected, await scoresOf(model));
    assert(far < ROUNDING, `${far}`);
  });

  Deno.test(`copies of ${about} in two parts give the dense model's scores, two or four experts a token`, async () => {
    for (const k of [2, 4]) {
      const narrow = {
        "model.expertWidth": 12,
        "model.experts": 8,
        router: { ...sparse.router as object, k },
      };
      const { model, expected } = await startedFrom(from, [...to, narrow]);
      using _model = model;
      const far = distance(expected, await scoresOf(model));
      assert(far < ROUNDING, `${far}`);
    }
  });
}

Deno.test("noise and drop change the share of hidden units that is asked for, in all matrices, and differ by expert", () => {
  const [D, F, E] = [32, 64, 4];
  const network = {
    in: { values: random(3).normal(D * F).map((value) => 2 * value + 1), shape: [1, D, F] },
    out: { values: random(4).normal(F * D), shape: [1, F, D] },
  };
  const units = { in: { axis: 2, block: 1 }, out: { axis: 1, block: 1 } };
  const options = { E, granularity: 1, share: 0.25, scale: 1, random: random(5) };
  const changedUnits = (name: "in" | "out", { values }: Weights, e: number) => {
    const found = new Set<number>();
    network[name].values.forEach((value, at) => {
      if (value !== values[e * D * F + at]) found.add(name === "in" ? at % F : Math.floor(at / D));
    });
    return [...found].sort((a, b) => a - b);
  };
  const anew = upcycle(network, units, { ...options, how: "drop" });
  const noisy = upcycle(network, units, { ...options, how: "noise" });
  const chosen = Array.from({ length: E }, (_, e) => changedUnits("in", anew.in, e));
  for (let e = 0; e < E; e++) {
    assertEquals(chosen[e].length, F / 4);
    assertEquals(changedUnits("out", anew.out, e), chosen[e]);
    assertEquals(changedUnits("in", noisy.in, e), chosen[e]);
  }
  assertEquals(new Set(chosen.map(String)).size, E);
  // Drawn from the statistics of what was there: mean 1, deviation 2, of 512 values; and noise of deviation 0.02.
  const of = (values: Float32Array, e: number, less: boolean) =>
    Array.from(network.in.values, (value, at) => [at % F, values[e * D * F + at] - (less ? value : 0)])
      .filter(([unit]) => chosen[e].includes(unit)).map(([, value]) => value);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = (values: number[]) => Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)));
  const drawn = of(anew.in.values, 0, false);
  // Six deviations of the mean and of the deviation of 512 draws.
  assertAlmostEquals(mean(drawn), 1, 6 * 2 / Math.sqrt(512));
  assertAlmostEquals(deviation(drawn), 2, 6 * 2 / Math.sqrt(2 * 512));
  assertAlmostEquals(deviation(of(noisy.in.values, 0, true)), 0.02, 6 * 0.02 / Math.sqrt(2 * 512));
});

Deno.test("a share of 0 copies, a share of 1 keeps nothing", () => {
  const network = { in: { values: random(3).normal(12), shape: [1, 3, 4] } };
  const units = { in: { axis: 2, block: 1 } };
  const options = { E: 1, granularity: 1, scale: 1, random: random(5), how: "drop" as const };
  assertEquals(upcycle(network, units, { ...options, share: 0 }).in, network.in);
  const { values } = upcycle(network, units, { ...options, share: 1 }).in;
  assert(values.every((value, at) => value !== network.in.values[at]));
});

Deno.test("a model of the same shape is copied to the bit, its router and what that carries included", async () => {
  const same: Settings[] = [{ "model.moeEvery": 1, router: { name: "deepseek", k: 2, shared: 1 } }];
  using from = made(0, ...same);
  const bias = { bias: Float32Array.of(0.5, -0.25, 1) };
  for (const { router } of Object.values(from.routers)) router.restore!(bias);
  using model = made(1, ...same);
  assertEquals(await startFrom(model, from, { ...plain, conversion: null }), []);
  assertEquals(await scoresOf(model), await scoresOf(from));
  assertEquals(
    model.routers["blocks.0.router"].router.state!(),
    from.routers["blocks.0.router"].router.state!(),
  );
});

Deno.test("another router starts fresh over the same experts; a dense student keeps all but its networks", async () => {
  const { model } = await startedFrom([sparse], [{ "model.moeEvery": 1, "router.name": "switch" }], {
    conversion: null,
  });
  using _model = model;
  using teacher = made(0, sparse);
  using fresh = made(1, dense);
  using gate = made(1, sparse, { "router.name": "switch" });
  const values = async (one: Model, name: string) => await one.params[name].read();
  assertEquals(await values(model, "blocks.1.experts.in"), await values(teacher, "blocks.1.experts.in"));
  assertEquals(await values(model, "blocks.1.router.gate"), await values(gate, "blocks.1.router.gate"));
  using student = made(1, dense);
  assertEquals(await startFrom(student, teacher, { ...plain, conversion: "fresh" }), []);
  for (const name of Object.keys(student.params)) {
    const own = /^blocks\.\d\.(in|out)$/.test(name);
    assertEquals(await values(student, name), await values(own ? fresh : teacher, name), name);
  }
});

Deno.test("what does not fit is refused by name, with the choices", async () => {
  const cases: readonly (readonly [Settings[], Settings[], Partial<StartOptions>, string])[] = [
    [
      [dense],
      [sparse],
      { conversion: null },
      "layer 0: it has a dense network of width 24, and the model to train has 4 experts of width 24; set " +
      "train.conversion to copy, noise, drop, fresh",
    ],
    [[dense, { "model.layers": 1 }], [dense], {}, "it has 1 layers, and the model to train has 2"],
    [[dense, { "model.heads": 0 }], [dense], {}, 'it has no "blocks.0.attentionNorm"'],
    [
      [dense, { "model.width": 8 }],
      [dense],
      {},
      'its "embedding" has shape [32, 8], and the model\'s has [32, 16]',
    ],
    [
      [sparse],
      [sparse, { "model.experts": 8 }],
      {},
      "layer 0: it has 4 experts of width 24, and the model to train has 8 experts of width 24, which is no upcycling",
    ],
    [
      [dense],
      [sparse, { "experts.name": "swiglu" }],
      {},
      "layer 0: experts.name is swiglu, and its network is of the kind feed-forward",
    ],
    [
      [dense],
      [sparse, { "experts.activation": "gelu" }],
      {},
      'layer 0: experts.activation is "gelu", and its network has "relu"',
    ],
    [[dense], [sparse, { "model.expertWidth": 10 }], {}, "which experts of width 10 do not divide"],
    [
      [dense],
      [sparse, { "model.expertWidth": 12, "model.experts": 5 }],
      {},
      "5 experts are no whole number of copies in 2 parts",
    ],
    [
      [dense],
      [sparse, { "model.expertWidth": 8, "model.experts": 6 }],
      {},
      'router "top-any" sends a token to 2, which is no whole number of copies in 3 parts; choose a multiple of 3',
    ],
    [
      [dense],
      [{ "model.moeEvery": 1, "model.expertWidth": 12, router: { name: "forced-balance", k: 2 } }],
      {},
      'router "forced-balance" has no columns of experts',
    ],
  ];
  for (const [from, to, options, why] of cases) {
    await assertRejects(() => startedFrom(from, to, options), RangeError, why);
    await assertRejects(
      () => startedFrom(from, to, options),
      RangeError,
      "Cannot start from the dense model: ",
    );
  }
  assertThrows(
    () => configOf({ "train.conversion": "copy" }),
    RangeError,
    'Cannot use train.conversion = "copy": there is nothing to convert; set train.from to a kept model',
  );
});

const text = await madeUpData();
const few: Settings = { "train.steps": 4, "train.learningRate": 0.02, "train.evaluations": 1 };

Deno.test("a run that starts from a kept dense model begins with its loss, and goes on to the same bits when resumed", async () => {
  const store = openRunStore(folder, "dense");
  const names = { run: "dense" };
  using kept = await train(tinyConfig("switch", {}, least, few, dense), {
    backend,
    data: text,
    store,
    names,
    keepModel: "last",
  });
  const router = { k: 2, capacityFactor: 0 };
  const start: Settings = {
    "model.equalCost": false,
    "model.moeEvery": 1,
    "train.from": store.modelPath,
    "train.conversion": "copy",
  };
  const config = tinyConfig("top-any", router, least, few, start);
  using copied = await train(config, { backend, data: text });
  const [first] = copied.record.evaluations;
  assertAlmostEquals(first.loss, kept.record.end!.loss, ROUNDING * first.loss);

  // Weights p of about 1 / E each, and the scale that takes them back to 1.
  const small = tinyConfig("top-any", { ...router, normalize: false }, least, few, start);
  const loss = async (config: RunConfig) => {
    using trainer = await createTrainer(config, { backend, data: text });
    return (await trainer.evaluate()).loss;
  };
  const { train: own, ...rest } = small;
  const [without, scaled] = [
    await loss(small),
    await loss({ ...rest, train: { ...own, conversionScale: true } }),
  ];
  const dist = (each: number) => Math.abs(each - kept.record.end!.loss);
  assert(dist(scaled) < dist(without) / 20, `${kept.record.end!.loss}: ${without}, ${scaled}`);

  const half = openRunStore(folder, "half");
  {
    using trainer = await createTrainer(config, { backend, data: text, store: half });
    await trainer.step();
    await trainer.step();
    await trainer.save();
  }
  using resumed = await train(config, { backend, data: text, store: half, resume: true });
  assertEquals(resumed.record, copied.record);
});

Deno.test("a model of other words is refused", async () => {
  const store = openRunStore(folder, "words");
  const config = tinyConfig("switch", {}, least, few);
  using _run = await train(config, {
    backend,
    data: text,
    store,
    names: { run: "words" },
    keepModel: "last",
  });
  const [first, second, ...others] = text.vocabulary!.words;
  const other = { ...text, vocabulary: { ...text.vocabulary!, words: [second, first, ...others] } };
  await assertRejects(
    () =>
      createTrainer(tinyConfig("switch", {}, least, few, { "train.from": store.modelPath }), {
        backend,
        data: other,
      }),
    RangeError,
    "Cannot start from words: its vocabulary is not that of the task",
  );
});
