// ST-MoE and top-ANY: what happens to the second expert, to a full expert, and to the two losses; and the router that
// balances by force.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { forcedBalance } from "../routers/forced_balance.ts";
import { gshard } from "../routers/gshard.ts";
import { parseOptions } from "../routers/registry.ts";
import { stMoe } from "../routers/st_moe.ts";
import { topAny } from "../routers/top_any.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { best, givenInit, identity, makeRouter, routeOnce, rowsOf, softmax64 } from "./route_once.ts";

const backend = await cpu({ threads: 1 });
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

Deno.test("ST-MoE: z-loss is the mean squared log sum of router logits, times c_z", async () => {
  using _scope = memory(backend);
  const [T, E] = [9, 4];
  const x = Array.from(random(1).normal(T * E), (value) => 3 * value);
  const real = [1, 1, 0, 1, 1, 1, 0, 1, 1];
  const { losses } = await routeOnce(backend, stMoe, { x, D: E, E, given: { gate: identity(E) }, real });
  const rows = rowsOf(x, E).filter((_, t) => real[t]);
  const z = mean(rows.map((row) => Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) ** 2));
  assertAlmostEquals(losses.z, 1e-3 * z, 1e-8);
  const probabilities = rows.map(softmax64);
  const balance = Array.from(
    { length: E },
    (_, e) =>
      mean(probabilities.map((row) => row[e])) *
      mean(probabilities.map((row) => best(row, 1)[0] === e ? 1 : 0)),
  )
    .reduce((a, b) => a + b, 0);
  assertAlmostEquals(losses.balance, 0.01 * E * balance, 1e-7);
});

Deno.test("ST-MoE: the second expert is used with probability min(1, g2 / threshold)", async () => {
  const [T, E] = [4000, 4];
  for (const [g2, threshold] of [[0.1, 0.2], [0.15, 0.2], [0.3, 0.2], [0.3, 0.5]]) {
    using _scope = memory(backend);
    // Two experts share everything: logits with odds g2 to 1 - g2, the others far behind.
    const row = [Math.log(1 - g2), Math.log(g2), -40, -40];
    const x = Array.from({ length: T * E }, (_, at) => row[at % E]);
    const batch = { x, D: E, E, given: { gate: identity(E) }, training: true, seed: 3 };
    const options = { secondThreshold: threshold, capacityRule: "dropless" };
    const { wanted, weight } = await routeOnce(backend, stMoe, { ...batch, options });
    assertAlmostEquals(weight[1], g2, 1e-6);
    const used = wanted.filter((expert, n) => n % 2 === 1 && expert === 1).length / T;
    const want = Math.min(1, g2 / threshold);
    const deviation = Math.sqrt(want * (1 - want) / T);
    assert(Math.abs(used - want) <= 4 * deviation, `g2 ${g2}, threshold ${threshold}: ${used}`);
    for (
      const [second, count] of [["always", T], ["never", 0], ["threshold", g2 > threshold ? T : 0]] as const
    ) {
      const found = await routeOnce(backend, stMoe, { ...batch, options: { ...options, second } });
      assertEquals(found.wanted.filter((expert) => expert === 1).length, count);
      if (second === "always") continue;
      const evaluated = await routeOnce(backend, stMoe, {
        ...batch,
        training: false,
        options: { ...options, evaluationSecond: second },
      });
      assertEquals(evaluated.wanted.filter((expert) => expert === 1).length, count);
    }
  }
});

Deno.test("ST-MoE: capacity 1.25 in training and 2 in evaluation, without the second choice in it, at least 4", async () => {
  using _scope = memory(backend);
  const [T, E] = [40, 4];
  const x = Array.from({ length: T * E }, (_, at) => [3, 2, 0, 0][at % E]);
  const kept = async (training: boolean, tokens = T) => {
    const options = { second: "always", evaluationSecond: "always" };
    const batch = { x: x.slice(0, tokens * E), D: E, E, given: { gate: identity(E) }, options, training };
    return (await routeOnce(backend, stMoe, batch)).expert.filter((expert) => expert === 0).length;
  };
  assertEquals([await kept(true), await kept(false), await kept(true, 8)], [12, 20, 4]);
});

Deno.test("top-ANY: 0 drops nothing, x > 0 drops by Tutel's rule, x < 0 keeps what -x keeps", async () => {
  using _scope = memory(backend);
  const [T, E, K] = [50, 8, 2];
  const x = Array.from(random(2).normal(T * E), (value, at) => value + (at % E === 0 ? 3 : 0));
  const of = (options: Record<string, unknown>) =>
    routeOnce(backend, topAny, { x, D: E, E, given: { gate: identity(E) }, options: { k: K, ...options } });
  const load = (experts: readonly number[]) => experts.filter((expert) => expert === 0).length;
  const wanted = load((await of({ capacityFactor: 0 })).expert);
  assert(wanted > 20);
  assertEquals((await of({ capacityFactor: 0 })).expert.includes(-1), false);
  // K int(f ceil(T / E)): 2 x 7 = 14 at f = 1, 2 x 8 = 16 at f = 1.25 (peers' table).
  assertEquals(load((await of({ capacityFactor: 1 })).expert), 14);
  assertEquals(load((await of({ capacityFactor: 1.25 })).expert), 16);
  for (const factor of [0.5, 1, 20]) {
    assertEquals(
      (await of({ capacityFactor: -factor })).expert,
      (await of({ capacityFactor: factor })).expert,
    );
  }
  assertEquals(load((await of({ capacityFactor: 1, evaluationCapacityFactor: 0 })).expert), wanted);
  // The same choices, weights and drops as GShard's without its random second expert.
  const options = { second: "always", capacityRule: "tutel", evaluationCapacityFactor: 1 };
  const other = await routeOnce(backend, gshard, { x, D: E, E, given: { gate: identity(E) }, options });
  const one = await of({});
  assertEquals([one.expert, one.wanted, one.weight], [other.expert, other.wanted, other.weight]);
});

Deno.test("batch priority: tokens by their first probability, every first choice before any second", async () => {
  using _scope = memory(backend);
  const [T, E, K, C] = [30, 3, 2, 14];
  const x = Array.from(random(3).normal(T * E), (value) => 2 * value);
  for (const groups of [1, 3]) {
    const scope = T / groups;
    const options = { capacityRule: "tutel", evaluationCapacityFactor: 0.7, groups, second: "always" };
    const found = await routeOnce(backend, gshard, {
      x,
      D: E,
      E,
      given: { gate: identity(E) },
      options: { ...options, dropOrder: "batch-priority" },
    });
    const room = groups === 1 ? C : 2 * Math.floor(0.7 * Math.ceil(scope / E));
    const probability = rowsOf(x, E).map(softmax64);
    const want = new Array<number>(T * K).fill(-1);
    for (let group = 0; group < groups; group++) {
      const tokens = Array.from({ length: scope }, (_, at) => group * scope + at)
        .sort((a, b) => Math.max(...probability[b]) - Math.max(...probability[a]));
      const taken = new Array<number>(E).fill(0);
      for (let choice = 0; choice < K; choice++) {
        for (const t of tokens) {
          const expert = best(probability[t], K)[choice];
          if (taken[expert]++ < room) want[t * K + choice] = expert;
        }
      }
    }
    assert(want.includes(-1));
    assertEquals(found.expert, want);
  }
});

Deno.test("top-ANY's cosine gate: cosines over a temperature that never falls below its least", async () => {
  using _scope = memory(backend);
  const [T, D, E, P] = [6, 5, 4, 3];
  const draw = (seed: number, count: number) => Array.from(random(seed).normal(count));
  const [x, projection, projectionBias, expert] = [
    draw(1, T * D),
    draw(2, D * P),
    draw(3, P),
    draw(4, P * E),
  ];
  const of = (logScale: number) => {
    const given = { projection, projectionBias, expert, logScale: [logScale] };
    const options = { gate: "cosine", projection: P, capacityFactor: 0 };
    return routeOnce(backend, topAny, { x, D, E, given, options });
  };
  const size = (row: readonly number[]) => Math.hypot(...row);
  for (const [logScale, scale] of [[Math.log(2), 2], [Math.log(50), 50], [7, 100]]) {
    const { probability } = await of(logScale);
    for (let t = 0; t < T; t++) {
      const projected = Array.from(
        { length: P },
        (_, p) =>
          Array.from({ length: D }, (_, d) => x[t * D + d] * projection[d * P + p]).reduce(
            (a, b) => a + b,
            0,
          ) +
          projectionBias[p],
      );
      const logits = Array.from({ length: E }, (_, e) => {
        const column = Array.from({ length: P }, (_, p) => expert[p * E + e]);
        const dot = column.reduce((sum, value, p) => sum + value * projected[p], 0);
        return scale * dot / size(projected) / size(column);
      });
      softmax64(logits).forEach((p, e) =>
        assertAlmostEquals(probability[t * E + e], p, 1e-4 * Math.max(1, scale / 10))
      );
    }
  }
  const router = await makeRouter(backend, topAny, { x, D, E, options: { gate: "cosine" } });
  assertEquals([...await router.params.logScale.read()], [Math.fround(Math.log(2))]);
  assertEquals(router.params.projection.shape, [D, 256]);
});

Deno.test("top-ANY's losses: GShard's, or half of importance and load", async () => {
  using _scope = memory(backend);
  const [T, E, K] = [12, 5, 2];
  const x = Array.from(random(6).normal(T * E));
  const batch = { x, D: E, E, given: { gate: identity(E) } };
  const of = async (options: Record<string, unknown>) =>
    (await routeOnce(backend, topAny, { ...batch, options: { k: K, balance: 1, ...options } })).losses
      .balance;
  const rows = rowsOf(x, E);
  const probability = rows.map(softmax64);
  const sample = (values: readonly number[]) => {
    const average = mean(values);
    return values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (values.length - 1) /
      average ** 2;
  };
  const sum = (of: (t: number, e: number) => number) =>
    Array.from({ length: E }, (_, e) => rows.map((_, t) => of(t, e)).reduce((a, b) => a + b, 0));
  const firsts = sum((t, e) => best(rows[t], 1)[0] === e ? 1 / T : 0);
  const gshardLoss = sum((t, e) => probability[t][e] / T).reduce(
    (total, P, e) => total + E * P * firsts[e],
    0,
  );
  assertAlmostEquals(await of({}), gshardLoss, 1e-6);
  const importance = sample(sum((t, e) => probability[t][e]));
  assertAlmostEquals(await of({ balanceKind: "load-importance" }), importance, 1e-5);
  // In evaluation nothing is noisy, but the load still asks how far the k-th score is, in units of noise / E.
  const phi = (z: number) => {
    let total = 0;
    for (let i = 0; i <= 4000; i++) {
      const at = -10 + i * (Math.max(-10, Math.min(10, z)) + 10) / 4000;
      total += (i === 0 || i === 4000 ? 1 : i % 2 ? 4 : 2) * Math.exp(-at * at / 2);
    }
    return total * (Math.max(-10, Math.min(10, z)) + 10) / 4000 / 3 / Math.sqrt(2 * Math.PI);
  };
  const load = sample(sum((t, e) => phi((rows[t][e] - rows[t].toSorted((a, b) => b - a)[K - 1]) * E / 2)));
  assertAlmostEquals(await of({ balanceKind: "load-importance", noise: 2 }), (importance + load) / 2, 1e-5);
});

Deno.test("forced balance: in turn, in random turn, over real tokens", async () => {
  using _scope = memory(backend);
  const [T, D, E, K] = [10, 2, 4, 3];
  const x = new Array<number>(T * D).fill(0);
  const even = await routeOnce(backend, forcedBalance, { x, D, E, options: { k: K } });
  assertEquals(even.expert, Array.from({ length: T * K }, (_, n) => n % E));
  assert(even.weight.every((weight) => weight === Math.fround(1 / K)));
  const random1 = await routeOnce(backend, forcedBalance, {
    x,
    D,
    E,
    options: { mode: "random" },
    training: true,
  });
  const random2 = await routeOnce(backend, forcedBalance, {
    x,
    D,
    E,
    options: { mode: "random" },
    training: true,
    seed: 1,
  });
  assert(random1.expert.some((expert, n) => expert !== random2.expert[n]));
  for (const { expert } of [random1, random2]) {
    const load = Array.from({ length: E }, (_, e) => expert.filter((found) => found === e).length);
    assertEquals(load.toSorted(), [2, 2, 3, 3]);
  }
  const real = [1, 0, 1, 1, 0, 0, 1, 1, 1, 0];
  const padded = await routeOnce(backend, forcedBalance, { x, D, E, options: { k: 1 }, real });
  assertEquals(padded.expert, [0, -1, 1, 2, -1, -1, 3, 0, 1, -1]);
  assertThrows(
    () =>
      forcedBalance.create({ D, E: 2, V: 9 }, parseOptions(forcedBalance, { k: 3 }), givenInit(backend, {})),
    RangeError,
    "k is 3, and there are 2 experts",
  );
});
