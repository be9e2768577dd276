// Training as a whole: it learns, every router on equal terms, in memory that stays as it is, and what goes wrong is
// said in a sentence.
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { activeFlop } from "../models/cost.ts";
import { createModel, type Model } from "../models/model.ts";
import { choicesOf, moeLayers } from "../models/spec.ts";
import { type AnyRouterPlugin, findRouter, registerRouter, routers } from "../routers/registry.ts";
import type { Router } from "../routers/router.ts";
import { affine } from "../tensor/arithmetic.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { stopGradient } from "../tensor/tensor.ts";
import type { RunConfig, Settings } from "../training/config.ts";
import { evaluate, evaluateInDetail } from "../training/evaluate.ts";
import { fingerprint } from "../training/fingerprint.ts";
import { sizes } from "../models/sizes.ts";
import { passes, stages } from "../training/record.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { specOf } from "../training/spec_of.ts";
import { train, type TrainOptions } from "../training/train.ts";
import { madeUpDataset } from "./made_up_text.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const dataset = madeUpDataset();
const data = await madeUpData();
const backend = await cpu({ threads: 1 });
const options = { backend, data };
/** The routers of this package, without those that tests register. */
const builtIn = routers();

function smallConfig(router: AnyRouterPlugin | string, settings: Settings = {}): RunConfig {
  return tinyConfig(router, {}, least, { "train.steps": 3 }, settings);
}

/** Registers the router with its work changed, under a name of its own. */
function altered(name: string, as: string, change: (router: Router) => Router): AnyRouterPlugin {
  const plugin = findRouter(name);
  registerRouter({
    ...plugin,
    name: as,
    create: (dims, options, init) => change(plugin.create(dims, options, init)),
  });
  return findRouter(as);
}

Deno.test("every router learns: validation ends far below what word frequencies alone give", async () => {
  for (const router of builtIn) {
    using run = await train(tinyConfig(router), options);
    const { record: { steps, evaluations, end } } = run;
    const [first, last] = [steps[0].loss, steps.at(-1)!.loss];
    assert(first > Math.log(dataset.vocabulary.size) - 0.5, `${router.name} knows too much: ${first}`);
    assert(last < first - 1, `${router.name} went from ${first} to ${last}`);
    assert(
      end!.perplexity < 0.6 * dataset.unigramPerplexity,
      `${router.name}: perplexity ${end!.perplexity} with ${dataset.unigramPerplexity} for word frequencies`,
    );
    const seen = evaluations.map(({ perplexity }) => perplexity);
    assertEquals(evaluations.map(({ step }) => step), [0, 6, 11, 17, 22, 28, 33, 39, 44, 50, 55, 60]);
    assert(seen[11] < seen[2] && seen[2] < seen[0], `${router.name}: validation perplexity ${seen}`);
    // Every point sees the same tokens, and the last one is what the run ends with.
    assertEquals(new Set(evaluations.map(({ tokens }) => tokens)).size, 1);
    assertEquals(seen[11], end!.perplexity);
  }
});

Deno.test("every router with something to train reports the gradient that reached it; others say so", async () => {
  for (const router of builtIn) {
    using run = await train(smallConfig(router), options);
    const { header, end } = run.record;
    if (header.parameters.router === 0) assertEquals(end!.routerGradient, null, router.name);
    else if (router.traits.gradient !== "none") {
      assert(end!.routerGradient! > 0, `${router.name}: ${end!.routerGradient}`);
    }
  }
  const gated = builtIn.filter(({ traits }) => traits.gradient !== "none");
  assert(gated.some(({ name }) => name === "switch") && gated.some(({ name }) => name === "gshard"));
});

Deno.test("a step's time is booked by pass and stage, nothing twice and nothing left out", async () => {
  const start = performance.now();
  using run = await train(smallConfig("switch"), options);
  const { timing } = run;
  const allSeconds = (performance.now() - start) / 1000;
  let bookedSeconds = 0;
  for (const step of timing.steps) {
    const sum = (values: Readonly<Record<string, number>>) =>
      Object.values(values).reduce((all, each) => all + each, 0);
    assertEquals(Object.keys(step.stages).sort(), [...stages].sort());
    assertEquals(Object.keys(step.passes!).sort(), [...passes].sort());
    const { forward, backward, optimizer, reading } = step.passes!;
    const without = (...names: string[]) => stages.filter((stage) => !names.includes(stage)).sort();
    assertEquals(Object.keys(forward).sort(), without("optimizer", "reading"));
    // Products gather what was dispatched, so the way back begins in the experts.
    assertEquals(Object.keys(backward).sort(), without("dispatch", "batch", "optimizer", "reading"));
    assert("optimizer" in optimizer && "reading" in reading);
    const booked = Object.values(step.passes!).map(sum).reduce((all, each) => all + each, 0);
    assert(
      Math.abs(booked - sum(step.stages)) < 1e-9 * booked,
      `${booked} by pass, by stage ${sum(step.stages)}`,
    );
    assert(booked > step.seconds - 1e-9, `${booked} booked of ${step.seconds}`);
    bookedSeconds += booked;
  }
  assert(bookedSeconds < allSeconds, `${bookedSeconds} booked of ${allSeconds}`);
});

Deno.test("less than a tenth of a step has no name", async () => {
  // In the least model what every op costs outside its kernel would be most of a step.
  using run = await train(tinyConfig("switch", {}, sizes.tiny, { "train.steps": 25 }), options);
  const shares = run.timing.steps.slice(5).map(({ stages: { rest }, seconds }) => rest / seconds)
    .sort((a, b) => a - b);
  const median = shares[Math.floor(shares.length / 2)];
  assert(median < 0.1, `${(100 * median).toFixed(1)}% of a step have no name`);
});

Deno.test("a gate that nothing reaches is refused in the first step", async () => {
  const cut = altered("switch", "cut", (router) => ({
    ...router,
    async route(x_TD, step) {
      const routing = await router.route(x_TD, step);
      return { ...routing, weight_N: stopGradient(routing.weight_N), losses: {} };
    },
  }));
  await assertRejects(
    () => train(smallConfig(cut), { ...options, names: { run: "cut" } }),
    TypeError,
    'Cannot train cut: no gradient reaches "blocks.1.router.gate"',
  );
});

Deno.test("a gate whose gradient is always zero is refused at the end", async () => {
  const frozen = altered("switch", "frozen", (router) => ({
    ...router,
    async route(x_TD, step) {
      const routing = await router.route(x_TD, step);
      return { ...routing, weight_N: affine(routing.weight_N, 0, 1), losses: {} };
    },
  }));
  await assertRejects(
    () => train(smallConfig(frozen), { ...options, names: { run: "frozen" } }),
    RangeError,
    'Cannot accept frozen: "blocks.1.router.gate", a parameter of its router, received no gradient in 3 steps',
  );
});

Deno.test("a loss or gradient that is no number ends the run with a sentence that says where", async () => {
  await assertRejects(
    () => train(smallConfig("switch", { "train.learningRate": 1e30, "train.steps": 9 }), options),
    RangeError,
    "and the gradient norm NaN",
  );
  const broken = altered("switch", "broken", (router) => ({
    ...router,
    async route(x_TD, step) {
      const routing = await router.route(x_TD, step);
      return step.step < 2 ? routing : { ...routing, weight_N: affine(routing.weight_N, 1, NaN) };
    },
  }));
  const { usedBytes } = backend.statistics();
  await assertRejects(
    () => train(smallConfig(broken), { ...options, names: { run: "broken" } }),
    RangeError,
    "Cannot go on with broken: at step 2 the loss is NaN and the gradient norm NaN",
  );
  assertEquals(backend.statistics().usedBytes, usedBytes, "a run that failed left bytes behind");
});

Deno.test("memory is flat from the first steps to the last, and all of it comes back", async () => {
  const steps = 200;
  for (const router of builtIn) {
    const own = await cpu({ threads: 2 });
    const before = own.statistics().usedBytes;
    const at: { usedBytes: number; carvedBytes: number }[] = [];
    const look: Partial<TrainOptions> = { backend: own, onStep: () => at.push(own.statistics()) };
    const run = await train(smallConfig(router, { "train.steps": steps }), { ...options, ...look });
    run[Symbol.dispose]();
    assertEquals(at.length, steps);
    assertEquals(new Set(at.map(({ usedBytes }) => usedBytes)).size, 1, `${router.name}: bytes in use vary`);
    // Validation text has been looked at before step 0 and after step 19.
    assertEquals(at[19].carvedBytes, at[199].carvedBytes, `${router.name}: the heap grew after step 20`);
    assertEquals(own.statistics().usedBytes, before, `${router.name} left bytes behind`);
    own.close();
  }
});

Deno.test("routers start from equal weights and cost the same; seeds start from different ones", async () => {
  const headers = [];
  for (const seed of [0, 1]) {
    for (const router of builtIn) {
      using run = await train(smallConfig(router, { seed, "train.steps": 1 }), options);
      headers.push(run.record.header);
    }
  }
  assertEquals(new Set(headers.map(({ activeFlopPerToken }) => activeFlopPerToken)).size, 1);
  for (const seed of [0, 1]) {
    const starts = headers.filter((header) => header.seed === seed);
    assertEquals(new Set(starts.map(({ initialWeights }) => initialWeights)).size, 1, `seed ${seed}`);
  }
  assertNotEquals(headers[0].initialWeights, headers.at(-1)!.initialWeights);
});

Deno.test("the active FLOPs of a token are the sum a reader can check, and what kernels say they cost", async () => {
  // Tiny, V = 61: 2 blocks with 4 D^2 weights and two products over 33 / 2 keys on average, one dense and one expert
  // network of 64 units, logits.
  const [D, L, units, V] = [32, 32, 64, 61];
  const attention = 2 * D * (L + 1);
  const flop = 2 * (2 * 4 * D * D + attention) + 2 * (2 * 2 * D * units) + 2 * D * V;
  for (const router of builtIn) {
    const model = modelOf(tinyConfig(router));
    const [{ moe }] = moeLayers(model.spec);
    const K = choicesOf(moe);
    assertEquals(activeFlop(model.flop), flop, router.name);
    assertEquals([K * moe.F, moe.E / K], [units, 4]);
    model.free();
  }
  let products = 0;
  const counting: typeof backend = {
    ...backend,
    run(kernel, inputs, params) {
      const cost = kernel.cost(inputs.map(({ type }) => type), params);
      if (kernel.name.includes("matmul")) products += cost.flop;
      return backend.run(kernel, inputs, params);
    },
  };
  // Hash drops nothing and has no gate whose product would count.
  const config = tinyConfig("hash");
  const model = modelOf(config, counting);
  const [batch] = data.evaluationExamples(config.train);
  await evaluate(model, { backend: counting, data, plan: [batch], step: 0 });
  assertEquals(products / batch.tokenId.length + 2 * attention, flop);
  model.free();
});

function modelOf(config: RunConfig, on = backend): Model {
  return createModel(specOf(config, data), createInit(on, random(config.seed).split("init")));
}

Deno.test("outside routers, models of one seed hold the same numbers, however experts are cut", async () => {
  const [first, ...rest] = builtIn.map((router) => modelOf(smallConfig(router, { seed: 5 })));
  const names = Object.keys(first.params).filter((name) => !first.routerParams.includes(name));
  for (const model of rest) {
    assertEquals(Object.keys(model.params).filter((name) => !model.routerParams.includes(name)), names);
    for (const name of names) {
      const [a, b] = [await first.params[name].read(), await model.params[name].read()];
      if (name.includes(".experts.")) assertEquals([...a].sort(), [...b].sort(), name);
      else assertEquals(a, b, name);
    }
  }
  // The fingerprint that a record carries tells a single changed weight, and a name from another.
  const { norm, embedding } = first.params;
  const before = await fingerprint({ norm, embedding });
  assertNotEquals(await fingerprint({ norm: embedding, embedding: norm }), before);
  const values = await norm.read() as Float32Array;
  values[3] += 2 ** -20;
  const nudged = { ...norm, read: () => Promise.resolve(values) };
  assertNotEquals(await fingerprint({ norm: nudged, embedding }), before);
  for (const model of [first, ...rest]) model.free();
});

Deno.test("every router sees the same text in the same order, and another seed sees another order", async () => {
  async function textOf(name: string, seed: number): Promise<string> {
    const seen: string[] = [];
    const spying = altered(name, `spying-on-${name}-${seed}`, (router) => ({
      ...router,
      async route(x_TD, step) {
        // At the end a run is evaluated with the assignment of training.
        if (step.training && step.step < 4) seen.push(`${step.step}: ${await step.tokenId_T!.read()}`);
        return await router.route(x_TD, step);
      },
    }));
    using _run = await train(smallConfig(spying, { seed, "train.steps": 4 }), options);
    return seen.join("\n");
  }
  const names = builtIn.map(({ name }) => name);
  const texts = await Promise.all(names.map((name) => textOf(name, 0)));
  assertEquals(new Set(texts).size, 1);
  assertEquals(new Set(texts[0].split("\n")).size, 4, "steps see the same text");
  assertNotEquals(await textOf(names[0], 1), texts[0]);
});

Deno.test("evaluation is the same every time, and leaves nothing behind", async () => {
  const plan = data.evaluationExamples(smallConfig("switch").train);
  const setting = { backend, data, plan, step: 0 };
  for (const router of builtIn) {
    const before = backend.statistics().usedBytes;
    const model = modelOf(smallConfig(router, { seed: 2 }));
    const held = backend.statistics().usedBytes;
    const first = await evaluate(model, setting);
    assertEquals(await evaluate(model, setting), first);
    const { specialisation, residualShare, answers, ...rest } = await evaluateInDetail(model, setting);
    assertEquals(answers!.of, first.tokens);
    assert(answers!.right > 0 && answers!.right < answers!.of);
    assertEquals(rest, first);
    assertEquals(residualShare.map((share) => share > 0), [true]);
    assertEquals(first.tokens, plan.reduce((sum, { tokenId }) => sum + tokenId.length, 0));
    const [{ labels }] = specialisation;
    assertEquals(labels.map(({ name }) => name), ["part of speech", "genre"]);
    const [byPartOfSpeech, byGenre] = labels.map(({ counts }) => counts);
    const [{ moe }] = moeLayers(model.spec);
    const count = (table: readonly (readonly number[])[]) => table.flat().reduce((sum, value) => sum + value);
    assertEquals(count(byGenre), count(byPartOfSpeech));
    assert(count(byGenre) <= first.tokens * choicesOf(moe) && count(byGenre) > 0);
    assertEquals(backend.statistics().usedBytes, held);
    model.free();
    assertEquals(backend.statistics().usedBytes, before);
  }
});

Deno.test("a config gives the same record twice, on one thread and on three, and another seed another", async () => {
  const three = await cpu({ threads: 3 });
  for (const router of builtIn) {
    const text = async (settings: Settings, on: Partial<TrainOptions>) => {
      using run = await train(smallConfig(router, settings), {
        ...options,
        ...on,
        names: { run: router.name },
      });
      return recordText(recordRows(run.record));
    };
    const first = await text({}, {});
    assertEquals(await text({}, {}), first);
    assertEquals(await text({}, { backend: three, machine: { threads: 3, machine: "other" } }), first);
    const rows = (record: string) => record.slice(record.indexOf("\n"));
    assertNotEquals(rows(await text({ seed: 1 }, {})), rows(first));
  }
  three.close();
});

Deno.test("a run of one step, and one of as many evaluations as steps, end with every row in its place", async () => {
  for (const steps of [1, 2, 5, 6, 11]) {
    using run = await train(smallConfig("hash", { "train.steps": steps, "train.evaluations": 4 }), options);
    const { record } = run;
    assertEquals(record.steps.length, steps);
    // Before the first step, after each fifth of the run rounded up, and after the last step.
    const expected = new Set([0, 1, 2, 3, 4, 5].map((fifth) => Math.ceil(fifth * steps / 5)));
    assertEquals(record.evaluations.map(({ step }) => step), [...expected], `${steps} steps`);
    assertEquals(record.end!.step, steps);
  }
});
