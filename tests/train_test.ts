// Training as a whole: it learns, every router on equal terms, in memory that stays as it is, and what goes wrong is
// said in a sentence.
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { createLanguageModel } from "../models/language_model.ts";
import { type ModelSize, sizes } from "../models/presets.ts";
import { type AnyRouterPlugin, findRouter, parseOptions, routers } from "../routers/registry.ts";
import type { Router } from "../routers/router.ts";
import { affine } from "../tensor/arithmetic.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { stopGradient } from "../tensor/tensor.ts";
import { validationBatches } from "../training/batches.ts";
import { evaluate, evaluateInDetail } from "../training/evaluate.ts";
import { fingerprint } from "../training/fingerprint.ts";
import type { TrainOptions, TrainPlan } from "../training/plan.ts";
import { passes, recordRows, recordText, stages } from "../training/record.ts";
import { train } from "../training/train.ts";
import { madeUpDataset } from "./made_up_text.ts";

const dataset = madeUpDataset();
const backend = await cpu({ threads: 1 });
const options = { backend, dataset, machine: { threads: 1, machine: "" }, version: "0" };
const small: ModelSize = { ...sizes.tiny, batch: 2, width: 16, activeUnits: 16 };

function planOf(router: AnyRouterPlugin, given: Partial<TrainPlan> = {}): TrainPlan {
  const plan = { run: router.name, label: router.name, sizeName: "small one", seed: 0, steps: 3 };
  return { ...plan, size: small, router, routerOptions: parseOptions(router), ...given };
}

/** The router with its work changed. */
function altered(name: string, change: (router: Router) => Router): AnyRouterPlugin {
  const plugin = findRouter(name);
  return { ...plugin, create: (dims, options, init) => change(plugin.create(dims, options, init)) };
}

Deno.test("every router learns: validation ends far below what word frequencies alone give", async () => {
  for (const router of routers()) {
    const plan = planOf(router, { size: sizes.tiny, steps: sizes.tiny.steps });
    const { record: { steps, evaluations, end } } = await train(plan, options);
    const [first, last] = [steps[0].loss, steps.at(-1)!.loss];
    assert(first > Math.log(dataset.vocabulary.size) - 0.5, `${router.name} knows too much: ${first}`);
    assert(last < first - 1, `${router.name} went from ${first} to ${last}`);
    assert(
      end!.perplexity < 0.6 * dataset.unigramPerplexity,
      `${router.name}: perplexity ${end!.perplexity} with ${dataset.unigramPerplexity} for word frequencies`,
    );
    const seen = evaluations.map(({ perplexity }) => perplexity);
    assertEquals(evaluations.map(({ step }) => step), [12, 24, 36, 48]);
    assert(seen[3] < seen[0], `${router.name}: validation perplexity ${seen}`);
  }
});

Deno.test("every router with something to train reports the gradient that reached it; others say so", async () => {
  for (const router of routers()) {
    const { record: { header, end } } = await train(planOf(router), options);
    if (header.parameters.router === 0) assertEquals(end!.routerGradient, null, router.name);
    else if (router.traits.gradient !== "none") {
      assert(end!.routerGradient! > 0, `${router.name}: ${end!.routerGradient}`);
    }
  }
  const gated = routers().filter(({ traits }) => traits.gradient !== "none");
  assert(gated.some(({ name }) => name === "switch") && gated.some(({ name }) => name === "gshard"));
});

Deno.test("a step's time is booked by pass and stage, nothing twice and nothing left out", async () => {
  const start = performance.now();
  const { timing } = await train(planOf(findRouter("switch")), options);
  const allSeconds = (performance.now() - start) / 1000;
  let bookedSeconds = 0;
  for (const step of timing.steps) {
    const sum = (values: Readonly<Record<string, number>>) =>
      Object.values(values).reduce((all, each) => all + each, 0);
    assertEquals(Object.keys(step.stages).sort(), [...stages].sort());
    assertEquals(Object.keys(step.passes!).sort(), [...passes].sort());
    const { forward, backward, optimizer, reading } = step.passes!;
    assertEquals(Object.keys(forward).sort(), [...stages].sort());
    // Products gather what was dispatched, so the way back begins in the experts.
    assertEquals(Object.keys(backward).sort(), stages.filter((stage) => stage !== "dispatch").sort());
    assertEquals([Object.keys(optimizer), Object.keys(reading)], [["rest"], ["rest"]]);
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

Deno.test("a gate that nothing reaches is refused in the first step", async () => {
  const cut = altered("switch", (router) => ({
    ...router,
    async route(x_TD, step) {
      const routing = await router.route(x_TD, step);
      return { ...routing, weight_N: stopGradient(routing.weight_N), losses: {} };
    },
  }));
  await assertRejects(
    () => train(planOf(cut, { run: "cut" }), options),
    TypeError,
    'Cannot train cut: no gradient reaches "blocks.1.router.gate"',
  );
});

Deno.test("a gate whose gradient is always zero is refused at the end", async () => {
  const frozen = altered("switch", (router) => ({
    ...router,
    async route(x_TD, step) {
      const routing = await router.route(x_TD, step);
      return { ...routing, weight_N: affine(routing.weight_N, 0, 1), losses: {} };
    },
  }));
  await assertRejects(
    () => train(planOf(frozen, { run: "frozen" }), options),
    RangeError,
    "Cannot accept frozen: a parameter of its router received no gradient in 3 steps",
  );
});

Deno.test("a loss or gradient that is no number ends the run with a sentence that says where", async () => {
  const size = { ...small, learningRate: 1e30 };
  await assertRejects(
    () => train(planOf(findRouter("switch"), { size, steps: 9 }), options),
    RangeError,
    "and the gradient norm NaN",
  );
  const broken = altered("switch", (router) => ({
    ...router,
    async route(x_TD, step) {
      const routing = await router.route(x_TD, step);
      return step.step < 2 ? routing : { ...routing, weight_N: affine(routing.weight_N, 1, NaN) };
    },
  }));
  const { usedBytes } = backend.statistics();
  await assertRejects(
    () => train(planOf(broken, { run: "broken" }), options),
    RangeError,
    "Cannot go on with broken: at step 2 the loss is NaN and the gradient norm NaN",
  );
  assertEquals(backend.statistics().usedBytes, usedBytes, "a run that failed left bytes behind");
});

Deno.test("memory is flat from the first steps to the last, and all of it comes back", async () => {
  const steps = 200;
  for (const router of routers()) {
    const own = await cpu({ threads: 2 });
    const before = own.statistics().usedBytes;
    const at: { usedBytes: number; carvedBytes: number }[] = [];
    const look: Partial<TrainOptions> = { backend: own, onStep: () => at.push(own.statistics()) };
    await train(planOf(router, { steps }), { ...options, ...look });
    assertEquals(at.length, steps);
    assertEquals(new Set(at.map(({ usedBytes }) => usedBytes)).size, 1, `${router.name}: bytes in use vary`);
    // The first look at validation text is after step 40 and brings sizes of its own.
    assertEquals(at[19].carvedBytes, at[38].carvedBytes, `${router.name}: the heap grew before step 40`);
    assertEquals(at[41].carvedBytes, at[199].carvedBytes, `${router.name}: the heap grew after step 40`);
    assertEquals(own.statistics().usedBytes, before, `${router.name} left bytes behind`);
    own.close();
  }
});

Deno.test("routers start from equal weights and cost the same; seeds start from different ones", async () => {
  const headers = [];
  for (const seed of [0, 1]) {
    for (const router of routers()) {
      headers.push((await train(planOf(router, { seed, steps: 1 }), options)).record.header);
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
  for (const router of routers()) {
    const model = modelOf(router, 0, sizes.tiny);
    assertEquals(model.cut.activeFlopPerToken, flop, router.name);
    assertEquals([model.cut.K * model.cut.F, model.cut.E / model.cut.K], [units, sizes.tiny.experts]);
    free(model);
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
  const model = modelOf(findRouter("hash"), 0, sizes.tiny, counting);
  const [batch] = validationBatches(dataset, sizes.tiny);
  await evaluate(model, [batch]);
  assertEquals(products / batch.tokenId.length + 2 * attention, flop);
  free(model);
});

type Model = ReturnType<typeof createLanguageModel>;

function modelOf(router: AnyRouterPlugin, seed: number, size: ModelSize = small, on = backend): Model {
  const plan = { size, V: dataset.vocabulary.size, tokenCount_V: dataset.countByToken, router };
  const init = createInit(on, random(seed).split("init"));
  return createLanguageModel({ ...plan, routerOptions: parseOptions(router) }, init);
}

function free(model: Model): void {
  for (const { buffer } of Object.values(model.params)) backend.free(buffer);
}

Deno.test("outside routers, models of one seed hold the same numbers, however experts are cut", async () => {
  const [first, ...rest] = routers().map((router) => modelOf(router, 5));
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
  for (const model of [first, ...rest]) free(model);
});

Deno.test("every router sees the same text in the same order, and another seed sees another order", async () => {
  async function textOf(name: string, seed: number): Promise<string> {
    const seen: string[] = [];
    const spying = altered(name, (router) => ({
      ...router,
      async route(x_TD, step) {
        if (step.training) seen.push(`${step.step}: ${await step.tokenId_T.read()}`);
        return await router.route(x_TD, step);
      },
    }));
    await train(planOf(spying, { seed, steps: 4 }), options);
    return seen.join("\n");
  }
  const names = routers().map(({ name }) => name);
  const texts = await Promise.all(names.map((name) => textOf(name, 0)));
  assertEquals(new Set(texts).size, 1);
  assertEquals(new Set(texts[0].split("\n")).size, 4, "steps see the same text");
  assertNotEquals(await textOf(names[0], 1), texts[0]);
});

Deno.test("evaluation is the same every time, and leaves nothing behind", async () => {
  const batches = validationBatches(dataset, small);
  for (const router of routers()) {
    const before = backend.statistics().usedBytes;
    const model = modelOf(router, 2);
    const held = backend.statistics().usedBytes;
    const first = await evaluate(model, batches);
    assertEquals(await evaluate(model, batches), first);
    const { specialisation, ...rest } = await evaluateInDetail(model, batches, dataset);
    assertEquals(rest, first);
    assertEquals(first.tokens, batches.reduce((sum, { tokenId }) => sum + tokenId.length, 0));
    const [{ byGenre, byPartOfSpeech }] = specialisation;
    const count = (table: readonly (readonly number[])[]) => table.flat().reduce((sum, value) => sum + value);
    assertEquals(count(byGenre), count(byPartOfSpeech));
    assert(count(byGenre) <= first.tokens * model.cut.K && count(byGenre) > 0);
    assertEquals(backend.statistics().usedBytes, held);
    free(model);
    assertEquals(backend.statistics().usedBytes, before);
  }
});

Deno.test("a plan gives the same record twice, on one thread and on three, and another seed another", async () => {
  const three = await cpu({ threads: 3 });
  for (const router of routers()) {
    const text = async (given: Partial<TrainPlan>, on: Partial<TrainOptions>) =>
      recordText(recordRows((await train(planOf(router, given), { ...options, ...on })).record));
    const first = await text({}, {});
    assertEquals(await text({}, {}), first);
    assertEquals(await text({}, { backend: three, machine: { threads: 3, machine: "other" } }), first);
    assertNotEquals((await text({ seed: 1 }, {})).replaceAll('"seed":1', '"seed":0'), first);
  }
  three.close();
});

Deno.test("a run of one step, and one of as many evaluations as steps, end with every row in its place", async () => {
  for (const steps of [1, 2, 5, 6, 11]) {
    const { record } = await train(planOf(findRouter("hash"), { steps }), options);
    assertEquals(record.steps.length, steps);
    const every = Math.ceil(steps / 5);
    const expected = Array.from({ length: steps - 1 }, (_, at) => at + 1).filter((step) =>
      step % every === 0
    );
    assertEquals(record.evaluations.map(({ step }) => step), expected, `${steps} steps`);
    assertEquals(record.end!.step, steps);
  }
});
