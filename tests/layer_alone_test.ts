// A layer in a program of one's own: without token ids and sequences, with all parameters in one record, and with everything
// that holds memory freed by `using`, also where it is closed twice.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { swiglu } from "../experts/swiglu.ts";
import { createModel } from "../models/model.ts";
import { createMoeLayer, type MoeLayer } from "../moe/layer.ts";
import { type AnyRouterPlugin, findRouter, parseOptions, routers } from "../routers/registry.ts";
import { square, subtract } from "../tensor/arithmetic.ts";
import { gradientsByName } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory, release } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { meanAll, scalar, sumAll } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { parameter, tensor } from "../tensor/tensor.ts";
import { createAdamW } from "../training/optimizer.ts";
import { specOf } from "../training/spec_of.ts";
import { trainingLoss } from "../training/training_loss.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { tinyConfig, wordsAlone } from "./run_configs.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

const [T, D, F, E] = [16, 8, 6, 8];

function layerOf(plugin: AnyRouterPlugin): MoeLayer {
  const init = createInit(backend, random(1));
  const router = plugin.create({ D, E }, parseOptions(plugin), init.part("router"));
  const experts = swiglu.create({ D, F, E }, swiglu.options.parse({}), init.part("experts"));
  return createMoeLayer({ D, E, router, experts });
}

for (const plugin of routers().filter(({ name }) => name !== "hash")) {
  Deno.test(`a layer needs no token ids, and takes its tokens as one sequence: ${plugin.name}`, async () => {
    const before = backend.statistics().usedBytes;
    {
      using layer = layerOf(plugin);
      using _scope = memory(backend);
      const x_TD = tensor(backend, random(2).normal(T * D), [T, D]);
      const given = { training: false, random: random(3) };
      const { y_TD } = await layer.apply(x_TD, given);
      const said = {
        step: 0,
        sequences: equalSequences(1, T),
        tokenId_T: tensor(backend, new Int32Array(T), [T]),
      };
      assertEquals(await (await layer.apply(x_TD, { ...given, ...said })).y_TD.read(), await y_TD.read());
      const trained = await layer.apply(x_TD, { training: true, random: random(3) });
      assertEquals(trained.y_TD.shape, [T, D]);
    }
    assertEquals(backend.statistics().usedBytes, before);
  });
}

Deno.test("a router that reads token ids says so where there are none", async () => {
  const hash = findRouter("hash");
  assertThrows(() => layerOf(hash), RangeError, 'Cannot make router "hash": it reads token ids');
  const options = parseOptions(hash, { table: "random" });
  const router = hash.create({ D, E, V: 10 }, options, createInit(backend, random(1)));
  using _scope = memory(backend);
  const x_TD = tensor(backend, new Float32Array(T * D), [T, D]);
  const step = { training: false, step: 0, random: random(3), sequences: equalSequences(1, T) };
  await assertRejects(
    async () => await router.route(x_TD, step),
    TypeError,
    'Cannot route with router "hash": it reads token ids; give tokenId_T in the step',
  );
});

Deno.test("a layer's parameters are one record, which trains it", async () => {
  using layer = layerOf(findRouter("switch"));
  const names = ["router.gate", "experts.gate", "experts.in", "experts.out"];
  assertEquals(Object.keys(layer.params), names);
  assert(layer.params["router.gate"] === layer.router.params.gate);
  using optimizer = createAdamW(layer.params, { weightDecay: 0 });
  const x = random(2).normal(T * D);
  const losses: number[] = [];
  for (let step = 0; step < 30; step++) {
    using _scope = memory(backend);
    const x_TD = tensor(backend, x, [T, D]);
    const moe = await layer.apply(x_TD, { training: true, step, random: random(3).split(step) });
    const loss = meanAll(square(subtract(moe.y_TD, x_TD)));
    const total = trainingLoss({ loss, losses: moe.routing.losses, layers: [moe] });
    optimizer.update(await gradientsByName(total, layer.params), 0.02, step);
    losses.push(await scalar(loss));
  }
  assert(losses[29] < 0.7 * losses[0], `${losses[0]} to ${losses[29]}`);
});

Deno.test("an optimizer names the parameter without a gradient, and changes none", async () => {
  using w = parameter(backend, Float32Array.of(1, 2), [2]);
  using unused = parameter(backend, Float32Array.of(5), [1]);
  using optimizer = createAdamW({ w, unused });
  using _scope = memory(backend);
  const found = await gradientsByName(sumAll(square(w)), { w, unused });
  assertEquals(await found.w!.read(), Float32Array.of(2, 4));
  assertThrows(
    () => optimizer.update(found, 0.1, 0),
    TypeError,
    'Cannot update "unused": no gradient was given',
  );
  assertEquals(await w.read(), Float32Array.of(1, 2));
  assertAlmostEquals(await scalar(unused), 5);
});

Deno.test("what holds memory frees it once, however often it is closed", () => {
  const before = backend.statistics().usedBytes;
  const config = tinyConfig(findRouter("switch"));
  const model = createModel(specOf(config, wordsAlone(64)), createInit(backend, random(1)));
  const layer = layerOf(findRouter("switch"));
  const alone = parameter(backend, Float32Array.of(1), [1]);
  const optimizer = createAdamW({ ...model.params, ...layer.params, alone });
  assert(backend.statistics().usedBytes > before);
  release(layer.params["router.gate"]); // one parameter alone, before the rest
  for (const held of [optimizer, model, layer, alone]) {
    held[Symbol.dispose]();
    held[Symbol.dispose]();
  }
  for (const held of [optimizer, model, layer]) held.free();
  assertEquals(backend.statistics().usedBytes, before);
});

Deno.test("layers that share experts are freed one after the other", () => {
  const before = backend.statistics().usedBytes;
  const first = layerOf(findRouter("switch"));
  const second = createMoeLayer({ D, E, router: first.router, experts: first.experts });
  first.free();
  second.free();
  assertEquals(backend.statistics().usedBytes, before);
});

gpuTest("`using` closes a WebGPU backend", async () => {
  const opened = await openGpu({})();
  opened[Symbol.dispose]();
  assertThrows(() => opened.upload(new Float32Array(1), [1]), Error, "the WebGPU backend is closed");
});
