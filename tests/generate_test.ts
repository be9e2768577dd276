// Generation: with a cache every router gives the scores of one pass over the whole sequence, bit for bit on the CPU, and so
// the same tokens, from prompts of any length; a token costs a pass over itself where nothing earlier changes; and drawing
// follows the probabilities.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import { createCache } from "../models/cache.ts";
import { type ControlName, controls } from "../models/controls.ts";
import { drawToken } from "../models/draw.ts";
import { generate, whyNotCached } from "../models/generate.ts";
import { createModel, type Model } from "../models/model.ts";
import { type AnyRouterPlugin, parseOptions, routers, traitsOf } from "../routers/registry.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";
import type { RunConfig, Settings } from "../training/config.ts";
import { specOf } from "../training/spec_of.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { least, tinyConfig, wordsAlone } from "./run_configs.ts";

const V = 50;
const one = await cpu({ threads: 1 });
addEventListener("unload", () => one.close());

/** A backend that counts the rows that go through rotary positions: one for each token and layer with attention. */
function counting(): { readonly backend: Backend; rows(): number } {
  let rows = 0;
  return {
    rows: () => rows,
    backend: {
      ...one,
      run(kernel, inputs, params, over) {
        if (kernel.name === "rope") rows += inputs[0].type.shape[0];
        return one.run(kernel, inputs, params, over);
      },
    },
  };
}

/** A model whose gates tell tokens apart from the start. */
function modelOf(config: RunConfig, backend: Backend, routed = false): Model {
  const groups = {
    ...wordsAlone(V),
    bestRouting: { about: "", group_V: new Int32Array(V).map((_, v) => v % 5) },
  };
  const model = createModel(specOf(config, routed ? groups : wordsAlone(V)), createInit(backend, random(7)));
  for (const name of model.routerParams) {
    const { shape } = model.params[name];
    const values = random(2).split(name).normal(shape.reduce((product, size) => product * size, 1));
    model.params[name].assign(tensor(backend, values, shape));
  }
  return model;
}

const small: Settings = { ...least, "model.experts": 8, "train.length": 8 };
const configOf = (router: AnyRouterPlugin | string, options = {}, ...settings: Settings[]) =>
  tinyConfig(router, options, small, ...settings);

/** Scores behind some tokens, by a pass over all of them. */
async function wholePass(model: Model, tokenId: Int32Array): Promise<Float32Array> {
  using _scope = memory(model.backend);
  const batch = { tokenId_T: tokenId.slice(), sequences: sequencesOf([tokenId.length]) };
  const { logits_TV } = await model.forward(batch, { training: false, step: 0, random: random(0) });
  return (await logits_TV!.read()).slice(-V) as Float32Array;
}

const drawn = Int32Array.from(random(5).uniform(40), (u) => Math.floor(V * u));
/** Prompts of many lengths, past what the model was trained on included, each cut from its own place. */
const prompts = [1, 2, 5, 8, 19].map((length, at) => drawn.slice(3 * at, 3 * at + length));

/** Holds generation with the cache to passes over all tokens; returns the rows that it computed a layer. */
async function checkGeneration(config: RunConfig, routed = false): Promise<number[]> {
  const { backend, rows } = counting();
  const model = modelOf(config, backend, routed);
  const used = one.statistics().usedBytes;
  const computed: number[] = [];
  for (const prompt of prompts) {
    for (const temperature of [0, 1]) {
      const options = { maxTokens: 12, temperature, seed: 4 };
      const before = rows();
      const { tokenId } = await generate(model, prompt, options);
      computed.push((rows() - before) / config.model.layers);
      const { tokenId: again } = await generate(model, prompt, { ...options, cache: false });
      assertEquals(tokenId, again);
      assertEquals(tokenId.length, 12);
    }
    // The scores themselves, and the token that follows from them without any drawing of ours.
    using cache = createCache(config.model.layers);
    const greedy = (await generate(model, prompt, { maxTokens: 12 })).tokenId;
    const all = Int32Array.of(...prompt, ...greedy);
    for (let at = prompt.length; at < all.length; at++) {
      using _scope = memory(backend);
      const found = await model.next(all.subarray(0, at), cache, { step: 0, random: random(0) });
      const scores = await wholePass(model, all.subarray(0, at));
      assertEquals(await found.read(), scores);
      assertEquals(all[at], scores.indexOf(Math.max(...scores)));
    }
  }
  assertEquals(one.statistics().usedBytes, used, "a generation leaves nothing behind");
  model.free();
  return computed;
}

/** Rows that passes need where nothing is computed twice, and where all is computed again with each token. */
const once = prompts.flatMap(({ length }) => [length + 11, length + 11]);
const anew = prompts.flatMap(({ length }) => {
  const rows = Array.from({ length: 12 }, (_, at) => length + at).reduce((sum, each) => sum + each);
  return [rows, rows];
});

/** What a router's options do to its causality, or to how tokens depend on each other. */
const others: readonly (readonly [router: string, options: Record<string, unknown>])[] = [
  ...["previous", "bigram", "position"].map((key) => ["hash", { key, table: "random" }] as const),
  ["noisy-top-k", { gating: "strict", k: 2 }],
  ["deepseek", { k: 2, shared: 2, expertGroups: 3, groupsKept: 2, groupScore: "max" }],
  ["forced-balance", { k: 2 }],
  ["locmoe", { gate: "orthogonal", ties: "random", capacityFrom: "factor" }],
  ["locmoe-plus", { evaluation: "tcr" }],
  ["switch", { evaluationCapacityFactor: 0.5 }],
  ["switch", { dropOrder: "probability" }],
  ["switch", { capacityRule: "dropless" }],
];

for (const [router, options] of [...routers().map(({ name }) => [name, {}] as const), ...others]) {
  Deno.test(`${router} ${JSON.stringify(options)}: with a cache and without, the same tokens from any prompt`, async () => {
    const plugin = routers().find(({ name }) => name === router)!;
    const config = configOf(plugin, options);
    const computed = await checkGeneration(config);
    const spec = specOf(config, wordsAlone(V));
    const { causal, perToken } = traitsOf(plugin, parseOptions(plugin, options));
    if (!causal) {
      assertEquals(computed, anew);
      assertEquals(
        whyNotCached(spec),
        `All tokens are computed again with each new one: router "${router}" is not causal, so a new token may change ` +
          "what earlier ones get.",
      );
      return;
    }
    assertEquals(whyNotCached(spec), null);
    // Where nothing is dropped, an earlier token's lot never changes.
    if (perToken !== "up to K") assertEquals(computed, once);
    else computed.forEach((rows, at) => assert(once[at] <= rows && rows < 2 * anew[at], `${rows} rows`));
  });
}

Deno.test("a token that gets room when the sequence grows is computed again, with all behind it", async () => {
  const tight = await checkGeneration(configOf("switch", { evaluationCapacityFactor: 0.5 }));
  assert(tight.some((rows, at) => rows > once[at]), "nothing was computed again, so nothing was tested");
  assertEquals(await checkGeneration(configOf("switch", { evaluationCapacityFactor: 1000 })), once);
});

Deno.test("controls, grouped heads and layers of every kind are continued exactly", async () => {
  const layers = [
    { feedForward: "dense", attention: false },
    { feedForward: "none" },
    { feedForward: "moe", experts: 3, expertWidth: 6, router: { name: "hash", key: "bigram" } },
    { feedForward: "moe", attention: false },
  ];
  const grouped = { "model.width": 32, "model.heads": 4, "model.keyValueHeads": 2, "model.rotaryWidth": 4 };
  const configs: Settings[] = [
    grouped,
    { "model.layers": 4, "model.perLayer": layers },
    { "model.norm": false, "model.residual": false },
    { "placement.ranks": 4, "placement.ranksPerNode": 2 },
    { "experts.name": "swiglu" },
    { "experts.bias": true },
    ...["low-rank", "mixed", "nested"].map((name) => ({ "experts.name": name })),
    ...["sum", "learned"].map((mix) => ({ "model.sharedExpertWidth": 24, "model.sharedExpertMix": mix })),
    ...controls.map((control: ControlName) => ({ control })),
  ];
  for (const settings of configs) {
    const config = configOf("deepseek", { k: 1 }, settings);
    const computed = await checkGeneration(config, settings.control === "best known routing");
    if (!("model.layers" in settings)) assertEquals(computed, once, JSON.stringify(settings));
  }
});

Deno.test("a cache serves any tokens: what it shares with them is not computed again, and all else is right", async () => {
  const { backend, rows } = counting();
  const config = configOf("noisy-top-k");
  const model = modelOf(config, backend);
  using cache = createCache(config.model.layers);
  const step = { step: 0, random: random(0) };
  const [a, b] = [drawn.slice(0, 12), Int32Array.of(...drawn.slice(0, 7), 1, 2, 3)];
  for (const [tokenId, computed] of [[a, 12], [a, 1], [b, 3], [a.slice(0, 5), 1], [a, 7]] as const) {
    using _scope = memory(backend);
    const before = rows();
    const found = await (await model.next(tokenId, cache, step)).read();
    assertEquals((rows() - before) / config.model.layers, computed);
    assertEquals(found, await wholePass(model, tokenId));
    assertEquals(cache.tokenId, tokenId);
  }
  const refused = (tokenId: number[]) => () => model.next(Int32Array.from(tokenId), cache, step);
  await assertRejects(refused([]), RangeError, "Cannot say what follows no tokens: give one or more");
  await assertRejects(
    refused([1, V]),
    RangeError,
    "Cannot say what follows token id 50: it is outside the vocabulary",
  );
  cache.clear();
  model.free();
});

Deno.test("generations at once do not see each other", async () => {
  const model = modelOf(configOf("switch"), one);
  const options = { maxTokens: 8, temperature: 1 };
  const alone = [];
  for (const prompt of prompts) alone.push(await generate(model, prompt, options));
  assertEquals(await Promise.all(prompts.map((prompt) => generate(model, prompt, options))), alone);
  const seen: number[] = [];
  const { tokenId } = await generate(model, prompts[2], {
    ...options,
    onToken: ({ tokenId, probability }) => {
      assert(probability > 0 && probability < 1);
      seen.push(tokenId);
    },
  });
  assertEquals(seen, [...tokenId]);
  assertEquals((await generate(model, prompts[2], { maxTokens: 0 })).tokenId, new Int32Array());
  const other = await generate(model, prompts[2], { ...options, seed: 1 });
  assert(other.tokenId.some((id, at) => id !== tokenId[at]), "another seed draws otherwise");
  model.free();
});

Deno.test("what cannot be generated is refused by value", async () => {
  const model = modelOf(configOf("hash"), one);
  const cases = [
    [{ maxTokens: -1 }, "Cannot generate -1 tokens: choose a whole number from 0"],
    [{ temperature: -1 }, "Cannot draw tokens at temperature -1: choose a number from 0"],
    [{ temperature: NaN }, "Cannot draw tokens at temperature NaN"],
    [{ topP: 0 }, "Cannot draw tokens from a share of 0: choose a number above 0 up to 1"],
    [{ topP: 1.5 }, "Cannot draw tokens from a share of 1.5"],
  ] as const;
  for (const [options, message] of cases) {
    await assertRejects(() => generate(model, prompts[0], options), RangeError, message);
  }
  await assertRejects(
    () => generate(model, new Int32Array()),
    RangeError,
    "Cannot say what follows no tokens",
  );
  const groups = modelOf(configOf("gshard", { groups: 5 }), one);
  await assertRejects(() => generate(groups, prompts[1]), RangeError, "groups = 5 does not divide 2 tokens");
  for (const each of [model, groups]) each.free();
});

Deno.test("tokens are drawn as often as they are probable, at a temperature and from a nucleus", () => {
  const logits = random(3).normal(6).map((value) => 2 * value);
  const uniforms = random(4).uniform(20_000);
  for (const temperature of [0.5, 1, 2]) {
    for (const topP of [0.3, 0.8, 1]) {
      // The definition, over all subsets: the smallest set that holds the share, and of these the most probable.
      const weight = [...logits].map((each) => Math.exp(each / temperature));
      const total = weight.reduce((sum, each) => sum + each);
      const sets = Array.from({ length: 64 }, (_, bits) => [0, 1, 2, 3, 4, 5].filter((id) => bits >> id & 1))
        .map((ids) => ({ ids, held: ids.reduce((sum, id) => sum + weight[id] / total, 0) }))
        .filter(({ held }) => held >= topP - 1e-12)
        .sort((a, b) => a.ids.length - b.ids.length || b.held - a.held);
      const [{ ids, held }] = sets;
      const counts = new Array<number>(6).fill(0);
      for (const uniform of uniforms) counts[drawToken(logits, { temperature, topP }, uniform).tokenId]++;
      counts.forEach((count, id) => {
        const expected = ids.includes(id) ? weight[id] / total / held : 0;
        const deviation = Math.sqrt(expected * (1 - expected) / uniforms.length);
        assertAlmostEquals(
          count / uniforms.length,
          expected,
          4.5 * deviation + 1e-12,
          `${temperature} ${topP} ${id}`,
        );
      });
    }
  }
});

Deno.test("the most probable token, ties to the lower id, and its probability; scores that are no numbers are refused", () => {
  const scores = [0, Math.log(3), Math.log(3), -Infinity];
  assertEquals(drawToken(scores, { temperature: 0, topP: 1 }, 0.9).tokenId, 1);
  assertAlmostEquals(drawToken(scores, { temperature: 0, topP: 1 }, 0).probability, 3 / 7, 1e-12);
  // Temperature decides who is drawn, not what the model says of it.
  assertAlmostEquals(drawToken(scores, { temperature: 0.1, topP: 0.1 }, 0).probability, 3 / 7, 1e-12);
  for (const uniform of [0, 0.5, 1 - 2 ** -24]) {
    assert(
      drawToken(scores, { temperature: 100, topP: 1 }, uniform).tokenId < 3,
      "what is impossible is not drawn",
    );
  }
  for (const bad of [[NaN, 1], [Infinity, 1], [-Infinity, -Infinity]]) {
    assertThrows(
      () => drawToken(bad, { temperature: 1, topP: 1 }, 0),
      RangeError,
      "Cannot draw a token: its scores are not all numbers",
    );
  }
});

const gpu = openGpu();
gpuTest("on WebGPU, the same tokens with a cache and without, and the CPU's scores within 1e-4", async () => {
  const backend = await gpu();
  for (const name of ["deepseek", "switch"]) {
    const [model, onCpu] = [backend, one].map((each) => modelOf(configOf(name), each));
    for (const prompt of prompts.slice(1, 4)) {
      const { tokenId } = await generate(model, prompt, { maxTokens: 6 });
      assertEquals(tokenId, (await generate(model, prompt, { maxTokens: 6, cache: false })).tokenId);
      using cache = createCache(model.spec.layers.length);
      using _scope = memory(backend);
      await model.next(prompt, cache, { step: 0, random: random(0) });
      const all = Int32Array.of(...prompt, tokenId[0]);
      const found = await (await model.next(all, cache, { step: 0, random: random(0) })).read();
      (await wholePass(onCpu, all)).forEach((score, v) =>
        assertAlmostEquals(found[v], score, 1e-4, `${name} ${v}`)
      );
    }
    for (const each of [model, onCpu]) each.free();
  }
});
