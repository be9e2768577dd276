// DeepSeek's router against plain loops over its equations, the bias against its algorithm, group limits against cases
// worked out by hand, and what shared experts cost.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { activeFlop, flopOf } from "../models/cost.ts";
import { sizes } from "../models/sizes.ts";
import { moeLayers } from "../models/spec.ts";
import { loadOf } from "../moe/load.ts";
import { deepseek } from "../routers/deepseek.ts";
import { parseOptions } from "../routers/registry.ts";
import { switchRouter } from "../routers/switch.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { specOf } from "../training/spec_of.ts";
import { tinyConfig, wordsAlone } from "./run_configs.ts";
import { best, givenInit, identity, makeRouter, routeOnce, rowsOf, softmax64 } from "./route_once.ts";

const backend = await cpu({ threads: 1 });
const sigmoid64 = (x: number) => 1 / (1 + Math.exp(-x));
const logit = (p: number) => Math.log(p / (1 - p));

Deno.test("V3: sigmoid scores, weights over their sum, scale after it, shared experts left alone", async () => {
  using _scope = memory(backend);
  const [T, E, S, K] = [12, 9, 2, 3];
  const R = E - S;
  const x = Array.from(random(1).normal(T * R));
  const options = { k: K, shared: S, routedScale: 2.5 };
  const found = await routeOnce(backend, deepseek, { x, D: R, E, given: { gate: identity(R) }, options });
  assertEquals(found.routing.choices, K + S);
  assertEquals(found.routing.shared, S);
  rowsOf(x, R).forEach((row, t) => {
    const scores = row.map(sigmoid64);
    const picked = best(scores, K);
    const sum = picked.reduce((total, r) => total + scores[r], 0);
    assertEquals(found.expert.slice(t * (K + S), (t + 1) * (K + S)), [0, 1, ...picked.map((r) => r + S)]);
    const want = [1, 1, ...picked.map((r) => 2.5 * scores[r] / sum)];
    want.forEach((weight, at) => assertAlmostEquals(found.weight[t * (K + S) + at], weight, 1e-6));
    const total = scores.reduce((a, b) => a + b, 0);
    [0, 0, ...scores.map((score) => score / total)].forEach((share, e) =>
      assertAlmostEquals(found.probability[t * E + e], share, 1e-6)
    );
  });
});

Deno.test("V1 and V2: softmax scores, weights not normalised, so they sum to less than the scale", async () => {
  using _scope = memory(backend);
  const [T, R, K] = [10, 8, 2];
  const x = Array.from(random(2).normal(T * R));
  const options = { k: K, shared: 0, score: "softmax", normalize: false, routedScale: 16, biasRate: 0 };
  const found = await routeOnce(backend, deepseek, { x, D: R, E: R, given: { gate: identity(R) }, options });
  rowsOf(x, R).forEach((row, t) => {
    const scores = softmax64(row);
    best(scores, K).forEach((r, at) => {
      assertEquals(found.expert[t * K + at], r);
      assertAlmostEquals(found.weight[t * K + at], 16 * scores[r], 2e-5);
    });
  });
});

Deno.test("the bias follows the previous load by its sign, decides the choice, and never the weight", async () => {
  using _scope = memory(backend);
  const R = 4;
  const x = [2, 1.9, -1, -1];
  const batch = { x, D: R, E: R + 1, given: { gate: identity(R) }, options: { k: 1, biasRate: 0.01 } };
  const router = await makeRouter(backend, deepseek, batch);
  const bias = () => [...router.state!().bias];
  assertEquals(bias(), [0, 0, 0, 0]);
  // Expert 0 is shared: its load says nothing. The mean of the others is 4.
  router.observe!({ tokens: 99, wanted: [99, 10, 4, 2, 0], kept: [99, 10, 4, 2, 0] });
  assertEquals(bias(), [-0.01, 0, 0.01, 0.01].map(Math.fround));
  for (let step = 0; step < 3; step++) {
    router.observe!({ tokens: 99, wanted: [99, 16, 0, 0, 0], kept: [99, 16, 0, 0, 0] });
  }
  const found = await routeOnce(backend, deepseek, batch, router);
  // sigmoid(2) - sigmoid(1.9) is 0.011, the biases are 0.07 apart.
  assertEquals(found.expert, [0, 2]);
  assertEquals(found.weight, [1, 1]);
  const raw = { ...batch, options: { k: 1, biasRate: 0.01, normalize: false } };
  const unnormalised = await makeRouter(backend, deepseek, raw);
  unnormalised.restore!(router.state!());
  const weight = (await routeOnce(backend, deepseek, raw, unnormalised)).weight[1];
  assertAlmostEquals(weight, sigmoid64(1.9), 1e-6, "the weight is s, without b");
});

Deno.test("the bias: by the error, only in its first steps, and back from a checkpoint", async () => {
  using _scope = memory(backend);
  const batch = {
    x: [0, 0],
    D: 2,
    E: 2,
    options: { k: 1, shared: 0, biasRate: 0.5, biasRule: "error", biasSteps: 1 },
  };
  const router = await makeRouter(backend, deepseek, batch);
  await routeOnce(backend, deepseek, { ...batch, training: true }, router); // step 0
  router.observe!({ tokens: 3, wanted: [3, 0], kept: [3, 0] });
  assertEquals([...router.state!().bias], [-0.75, 0.75]);
  const frozen = await makeRouter(backend, deepseek, {
    ...batch,
    options: { ...batch.options, biasSteps: 0 },
  });
  frozen.observe!({ tokens: 3, wanted: [3, 0], kept: [3, 0] });
  assertEquals([...frozen.state!().bias], [0, 0]);
  frozen.restore!(router.state!());
  assertEquals([...frozen.state!().bias], [-0.75, 0.75]);
  router.state!().bias[0] = 7;
  assertEquals([...router.state!().bias], [-0.75, 0.75], "a state is a copy");
});

Deno.test("with the bias, a gate that prefers some experts ends up even", async () => {
  const [T, R, K] = [256, 8, 2];
  const lean = [2, 1.5, 1, 0.5, 0, -0.5, -1, -1.5];
  const x = Array.from(random(3).normal(T * R), (value, at) => 0.5 * value + lean[at % R]);
  const batch = { x, D: R, E: R, given: { gate: identity(R) }, options: { k: K, shared: 0, biasRate: 0.01 } };
  const router = await makeRouter(backend, deepseek, batch);
  const violation = async () => {
    using _scope = memory(backend);
    const { wanted, expert } = await routeOnce(backend, deepseek, batch, router);
    const values = { wanted_N: Int32Array.from(wanted), expert_N: Int32Array.from(expert) };
    const load = loadOf({ E: R, choices: K, gateEntropy: null, ...values });
    router.observe!({ tokens: T, ...load });
    return load.maxOverMean - 1;
  };
  const first = await violation();
  for (let step = 0; step < 300; step++) await violation();
  const last = await violation();
  assert(first > 1.5, `at first MaxVio is ${first}`);
  assert(last < 0.2, `at last MaxVio is ${last}`);
});

Deno.test("groups: V2's best score and V3's best two pick other groups, and only experts of theirs", async () => {
  using _scope = memory(backend);
  // Group 0 has the one best expert, group 1 the two best together, group 2 nothing.
  const x = [0.9, 0.1, 0.6, 0.6, 0.2, 0.2].map(logit);
  const of = async (options: Record<string, unknown>) => {
    const shape = { x, D: 6, E: 6, given: { gate: identity(6) } };
    return (await routeOnce(backend, deepseek, {
      ...shape,
      options: { shared: 0, expertGroups: 3, groupsKept: 1, k: 2, ...options },
    })).expert;
  };
  assertEquals(await of({ groupScore: "max" }), [0, 1]);
  assertEquals(await of({ groupScore: "top-2" }), [2, 3]);
  // k / M experts count: 2 / 1 as V3's code, 2 / 2 as V2's.
  assertEquals(await of({ groupScore: "share" }), [2, 3]);
  assertEquals(await of({ groupScore: "share", groupsKept: 2 }), [0, 2]);
  assertEquals(await of({ expertGroups: 1 }), [0, 2]);
});

Deno.test("groups: scores of 0 for other groups beat negative biased ones, -infinity does not", async () => {
  using _scope = memory(backend);
  const x = [0.4, 0.3, 0.2, 0.1].map(logit);
  for (const [groupMask, want] of [["infinity", [0, 1]], ["zero", [2, 3]]] as const) {
    const options = {
      shared: 0,
      expertGroups: 2,
      groupsKept: 1,
      k: 2,
      groupMask,
      biasRate: 1,
      biasRule: "error",
    };
    const batch = { x, D: 4, E: 4, given: { gate: identity(4) }, options };
    const router = await makeRouter(backend, deepseek, batch);
    router.restore!({ bias: Float32Array.of(-1, -1, -2, -2) });
    assertEquals((await routeOnce(backend, deepseek, batch, router)).expert, [...want]);
  }
});

Deno.test("balance losses are plain loops: by sequence or batch, by expert, device and destination", async () => {
  const [L, B, R, K, G, M] = [5, 3, 6, 2, 3, 2];
  const T = L * B;
  const x = Array.from(random(5).normal(T * R));
  const bias = Float32Array.of(0.2, -0.3, 0, 0.1, -0.1, 0.3);
  const real = Array.from({ length: T }, (_, t) => t % L < 4 ? 1 : 0);
  for (const balanceScope of ["sequence", "batch"] as const) {
    for (const balanceCounts of ["scores", "biased"] as const) {
      using _scope = memory(backend);
      const options = {
        k: K,
        shared: 0,
        balance: 0.5,
        deviceBalance: 0.25,
        communicationBalance: 0.125,
        expertGroups: G,
        groupsKept: M,
        balanceScope,
        balanceCounts,
      };
      const batch = { x, D: R, E: R, given: { gate: identity(R) }, options, length: L, real };
      const router = await makeRouter(backend, deepseek, batch);
      router.restore!({ bias });
      const { losses, expert } = await routeOnce(backend, deepseek, batch, router);
      const scores = rowsOf(x, R).map((row) => row.map(sigmoid64));
      const scopes = balanceScope === "sequence"
        ? Array.from({ length: B }, (_, b) => Array.from({ length: L }, (_, l) => b * L + l))
        : [Array.from({ length: T }, (_, t) => t)];
      const want = { balance: 0, device: 0, communication: 0 };
      for (const all of scopes) {
        const tokens = all.filter((t) => real[t]);
        const picked = (t: number) =>
          balanceCounts === "scores" ? best(scores[t], K) : expert.slice(t * K, (t + 1) * K);
        const groupOf = (r: number) => Math.floor(r / (R / G));
        const mean = (of: (t: number) => number) => tokens.reduce((sum, t) => sum + of(t), 0) / tokens.length;
        const share = (t: number, r: number) => scores[t][r] / scores[t].reduce((a, b) => a + b, 0);
        const f = Array.from({ length: R }, (_, r) => R / K * mean((t) => picked(t).includes(r) ? 1 : 0));
        const P = Array.from({ length: R }, (_, r) => mean((t) => share(t, r)));
        for (let r = 0; r < R; r++) want.balance += 0.5 * f[r] * P[r] / scopes.length;
        for (let group = 0; group < G; group++) {
          const members = Array.from({ length: R }, (_, r) => r).filter((r) => groupOf(r) === group);
          const groupP = members.reduce((sum, r) => sum + P[r], 0);
          const groupF = members.reduce((sum, r) => sum + f[r], 0) / members.length;
          const sent = G / M * mean((t) => picked(t).some((r) => groupOf(r) === group) ? 1 : 0);
          want.device += 0.25 * groupF * groupP / scopes.length;
          want.communication += 0.125 * sent * groupP / scopes.length;
        }
      }
      assertEquals(Object.keys(losses).sort(), Object.keys(want).sort());
      for (const [name, value] of Object.entries(want)) assertAlmostEquals(losses[name], value, 1e-5, name);
    }
  }
});

Deno.test("shared experts cost what other choices cost, and do not count as imbalance", () => {
  for (const size of Object.values(sizes)) {
    const plain = specOf(tinyConfig(switchRouter, {}, size), wordsAlone(100));
    for (const routerOptions of [{}, { k: 6, shared: 2 }, { k: 2, shared: 0 }]) {
      const cut = specOf(tinyConfig(deepseek, routerOptions, size), wordsAlone(100));
      assertEquals(activeFlop(flopOf(cut)), activeFlop(flopOf(plain)));
      const units = [cut, plain].map((spec) => moeLayers(spec).map(({ moe: { E, F } }) => E * F));
      assertEquals(units[0], units[1]);
    }
  }
  // One shared expert takes all 6 tokens, two routed ones 3 each.
  const wanted_N = Int32Array.of(0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 2);
  const load = loadOf({ E: 3, wanted_N, expert_N: wanted_N, choices: 2, gateEntropy: null, shared: 1 });
  assertEquals([load.wanted, load.coefficientOfVariation, load.maxOverMean, load.loadEntropy], [
    [6, 3, 3],
    0,
    1,
    1,
  ]);
});

Deno.test("too few experts, and groups without room, are refused", () => {
  const make = (E: number, options: Record<string, unknown>) => () =>
    deepseek.create({ D: 2, E, V: 9 }, parseOptions(deepseek, options), givenInit(backend, {}));
  assertThrows(make(7, {}), RangeError, "7 experts are too few for 7 routed and 1 shared");
  assertThrows(make(9, { k: 2, expertGroups: 3 }), RangeError, "1 of 3 groups of 8 routed experts");
  assertThrows(
    make(9, { k: 5, expertGroups: 2 }),
    RangeError,
    "1 of 2 groups of 8 routed experts have no room for 5",
  );
});
