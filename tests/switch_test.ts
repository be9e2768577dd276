// Switch against its equations in loops: probability as weight, capacity by position, the loss before capacity, jitter on
// the input, and the reduced init.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { parseOptions } from "../routers/registry.ts";
import { jitter } from "../routers/parts/scoring.ts";
import { switchRouter } from "../routers/switch.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";

const backend = await cpu({ threads: 1 });
const [T, D, E] = [50, 8, 4];
const x = random(1).normal(T * D).map((value, at) => 2 * value + (at % D === 2 ? 2 : 0));

for (
  const { factor, real } of [{ factor: 1 }, { factor: 0.5 }, {
    factor: 1,
    real: (t: number) => t % 5 !== 3,
  }]
) {
  Deno.test(`switch equals its equations: factor ${factor}${real ? ", padding" : ""}`, async () => {
    using _scope = memory(backend);
    const options = parseOptions(switchRouter, { capacityFactor: factor, jitter: 0, z: 0.5, initScale: 1 });
    const router = switchRouter.create({ D, E, V: 1 }, options, createInit(backend, random(2)));
    const mask = Float32Array.from({ length: T }, (_, t) => !real || real(t) ? 1 : 0);
    const routing = await router.route(tensor(backend, x, [T, D]), {
      training: true,
      step: 0,
      random: random(0),
      tokenId_T: tensor(backend, new Int32Array(T), [T]),
      sequences: equalSequences(1, T),
      ...(real ? { real_T: tensor(backend, mask, [T]) } : {}),
    });
    const gate = await router.params.gate.read();
    backend.free(router.params.gate.buffer);

    const tokens = [...mask.keys()].filter((t) => mask[t] === 1);
    const capacity = Math.ceil(tokens.length / E * factor);
    const taken = new Array<number>(E).fill(0);
    const share = new Array<number>(E).fill(0);
    const mean = new Array<number>(E).fill(0);
    let z = 0;
    const [expert, wanted] = [await routing.expert_N.read(), await routing.wanted_N.read()];
    const weight = await routing.weight_N.read();
    // A logit is a sum of 8 products, in all below 32; softmax and sums over tokens add their own roundings.
    const tolerance = (D + E + T) * 2 ** -24 * 32;
    for (let t = 0; t < T; t++) {
      if (mask[t] === 0) {
        assertEquals([expert[t], wanted[t]], [-1, -1]);
        continue;
      }
      const power = Array.from({ length: E }, (_, e) => {
        let logit = 0;
        for (let d = 0; d < D; d++) logit += x[t * D + d] * gate[d * E + e];
        return Math.exp(logit);
      });
      const total = power.reduce((sum, value) => sum + value, 0);
      const best = power.indexOf(Math.max(...power));
      assertEquals([wanted[t], expert[t]], [best, taken[best] < capacity ? best : -1]);
      taken[best]++;
      assertAlmostEquals(weight[t], power[best] / total, tolerance);
      share[best] += 1 / tokens.length;
      power.forEach((value, e) => mean[e] += value / total / tokens.length);
      z += Math.log(total) ** 2 / tokens.length;
    }
    assert(Math.max(...taken) > capacity, "nothing was dropped: the test shows less than it says");
    const balance = share.reduce((sum, f, e) => sum + f * mean[e], 0);
    assertAlmostEquals(await scalar(routing.losses.balance), 0.01 * E * balance, 0.01 * E * tolerance);
    assertAlmostEquals(await scalar(routing.losses.z), 0.5 * z, tolerance * Math.max(1, z));
  });
}

Deno.test("the z-loss is left out unless it is asked for", async () => {
  using _scope = memory(backend);
  const router = switchRouter.create(
    { D, E, V: 1 },
    parseOptions(switchRouter),
    createInit(backend, random(2)),
  );
  const { losses } = await router.route(tensor(backend, x, [T, D]), {
    training: true,
    step: 0,
    random: random(0),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(1, T),
  });
  assertEquals(Object.keys(losses), ["balance"]);
  backend.free(router.params.gate.buffer);
});

Deno.test("jitter multiplies each input by its own number in [1 - epsilon, 1 + epsilon), evenly spread", async () => {
  using _scope = memory(backend);
  const [rows, epsilon] = [400, 0.01];
  const values = random(3).normal(rows * D).map((value) => value + Math.sign(value));
  const noisy = await jitter(tensor(backend, values, [rows, D]), epsilon, random(4)).read();
  const factors = Array.from(noisy, (value, at) => value / values[at]);
  // Three roundings: the noise, the product, and the division here.
  const slack = 3 * 2 ** -24;
  assert(factors.every((factor) => factor >= 1 - epsilon - slack && factor < 1 + epsilon + slack));
  assert(new Set(factors).size > factors.length * 0.9, "inputs share their noise");
  // Mean and variance of a uniform variable, five standard errors either way.
  const count = factors.length;
  const mean = factors.reduce((sum, factor) => sum + factor, 0) / count;
  const variance = factors.reduce((sum, factor) => sum + (factor - mean) ** 2, 0) / count;
  assertAlmostEquals(mean, 1, 5 * epsilon / Math.sqrt(3 * count));
  assertAlmostEquals(variance, epsilon ** 2 / 3, 5 * epsilon ** 2 * Math.sqrt(4 / 45 / count));
});

Deno.test("the gate starts truncated normal with sigma = sqrt(0.1 / D)", async () => {
  const [width, experts] = [64, 32];
  const dims = { D: width, E: experts, V: 1 };
  const router = switchRouter.create(dims, parseOptions(switchRouter), createInit(backend, random(5)));
  const gate = [...await router.params.gate.read()];
  backend.free(router.params.gate.buffer);
  const sigma = Math.sqrt(0.1 / width);
  assert(gate.every((value) => Math.abs(value) <= 2 * sigma * (1 + 2 ** -23)));
  // Cut at two sigma, a normal variable's variance is 0.7737 sigma^2 and its fourth moment 1.4164 sigma^4.
  const variance = gate.reduce((sum, value) => sum + value * value, 0) / gate.length / sigma ** 2;
  const error = Math.sqrt((1.4164 - 0.7737 ** 2) / gate.length);
  assertAlmostEquals(variance, 0.7737, 5 * error);
});
