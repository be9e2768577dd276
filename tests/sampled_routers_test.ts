// Routers that sample or balance by assignment, one promise at a time; unbiased_test.ts measures their estimators.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { base } from "../routers/base.ts";
import { gumbelMatching } from "../routers/gumbel_matching.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import type { Router, RouteStep, Routing } from "../routers/router.ts";
import { sinkhorn } from "../routers/sinkhorn.ts";
import { skip } from "../routers/skip.ts";
import { add, multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit, orthogonal } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { wholeNumbers } from "../tensor/rows.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { type Parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { scoreFunctionLoss, weightedMeanLoss } from "../training/score_function.ts";

const backend = await cpu({ threads: 2 });
addEventListener("unload", () => backend.close());

const [D, E, V] = [16, 6, 50];
const sampling = [skip, gumbelMatching] as const;

function create(plugin: AnyRouterPlugin, options: Record<string, unknown> = {}, experts = E): Router {
  return plugin.create(
    { D, E: experts, V },
    parseOptions(plugin, options),
    createInit(backend, random(1)),
  );
}

function stepOf(T: number, given: Partial<RouteStep> = {}): RouteStep {
  const tokenId_T = tensor(backend, new Int32Array(T), [T]);
  return { training: true, step: 0, random: random(2), tokenId_T, sequences: equalSequences(1, T), ...given };
}

/** Tokens that lean towards some experts. */
function tokens(T: number): Tensor {
  const common = random(3).normal(D);
  return tensor(backend, random(4).normal(T * D).map((value, at) => 3 * value + 2 * common[at % D]), [T, D]);
}

function loads(expert: Iterable<number>, experts = E): number[] {
  const count = new Array<number>(experts).fill(0);
  for (const e of expert) if (e >= 0) count[e]++;
  return count;
}

/** Logits x W on the host. */
async function logits(x_TD: Tensor, gate_DE: Tensor): Promise<number[][]> {
  const [x, gate] = [await x_TD.read(), await gate_DE.read()];
  const [T] = x_TD.shape;
  const [, experts] = gate_DE.shape;
  return Array.from(
    { length: T },
    (_, t) =>
      Array.from({ length: experts }, (_, e) => {
        let sum = 0;
        for (let d = 0; d < D; d++) sum += x[t * D + d] * gate[d * experts + e];
        return sum;
      }),
  );
}

const largest = (row: readonly number[]) => row.indexOf(Math.max(...row));

function softmaxOf(row: readonly number[]): number[] {
  const most = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

Deno.test("gumbel-matching and base load every expert with T / E tokens, exactly", async () => {
  for (const plugin of [gumbelMatching, base]) {
    const router = create(plugin);
    for (let step = 0; step < 20; step++) {
      using _scope = memory(backend);
      const { expert_N } = await router.route(tokens(96), stepOf(96, { random: random(step) }));
      assertEquals(loads(await expert_N.read()), new Array(E).fill(16));
    }
  }
});

Deno.test("groups are balanced apart, and must divide the tokens", async () => {
  using _scope = memory(backend);
  for (const plugin of [gumbelMatching, base]) {
    const expert = await (await create(plugin, { groups: 4 }).route(tokens(48), stepOf(48))).expert_N.read();
    for (let group = 0; group < 4; group++) {
      assertEquals(loads(expert.subarray(12 * group, 12 * group + 12)), new Array(E).fill(2));
    }
    await assertRejects(
      async () => await create(plugin, { groups: 5 }).route(tokens(48), stepOf(48)),
      RangeError,
      `Cannot route with ${plugin.name}: groups = 5 does not divide 48 tokens`,
    );
  }
});

Deno.test("skip keeps a random part up to capacity, and what is kept counts for what is not", async () => {
  using _scope = memory(backend);
  const T = 96;
  const router = create(skip, { capacityFactor: 0.75 });
  const keptAt = new Float64Array(T);
  const wantedAt = new Float64Array(T);
  const capacity = 12;
  for (let draw = 0; draw < 400; draw++) {
    using _inner = memory(backend);
    const { wanted_N, expert_N, estimator } = await router.route(
      tokens(T),
      stepOf(T, { random: random(draw) }),
    );
    const [wanted, expert] = [await wanted_N.read(), await expert_N.read()];
    const weight = await estimator!.importance_T.read();
    const load = loads(wanted);
    assertEquals(loads(expert), load.map((count) => Math.min(count, capacity)));
    wanted.forEach((e, t) => {
      assertAlmostEquals(weight[t], expert[t] < 0 ? 0 : Math.max(1, load[e] / capacity), 1e-6);
      if (load[e] <= capacity) return;
      wantedAt[t] += capacity / load[e];
      keptAt[t] += Number(expert[t] >= 0);
    });
  }
  // Who is kept does not depend on place: first and second half are kept as often as capacity says, within five
  // standard errors of a binomial count (fewer here, since the places of an expert are all taken).
  for (const [from, to] of [[0, T / 2], [T / 2, T]]) {
    const kept = keptAt.subarray(from, to).reduce((a, b) => a + b);
    const want = wantedAt.subarray(from, to).reduce((a, b) => a + b);
    assert(
      Math.abs(kept - want) < 5 * Math.sqrt(want),
      `tokens ${from} to ${to}: kept ${kept}, expected ${want}`,
    );
  }
});

Deno.test("skip with room for all is plain REINFORCE: nothing skipped, every weight 1", async () => {
  using _scope = memory(backend);
  for (const options of [{ capacityFactor: E }, { capacityRule: "dropless" }]) {
    const { wanted_N, expert_N, estimator } = await create(skip, options).route(tokens(96), stepOf(96));
    assertEquals(await expert_N.read(), await wanted_N.read());
    assertEquals(await estimator!.importance_T.read(), new Float32Array(96).fill(1));
  }
});

Deno.test("skip draws from the router's distribution", async () => {
  using _scope = memory(backend);
  const router = create(skip, { capacityRule: "dropless" });
  // One token, many times: counts against probabilities.
  const T = 60000;
  const one = random(5).normal(D).map((value) => 2 * value);
  const x_TD = tensor(backend, Float32Array.from({ length: T * D }, (_, at) => one[at % D]), [T, D]);
  const expert = await (await router.route(x_TD, stepOf(T))).expert_N.read();
  const p = softmaxOf((await logits(tensor(backend, one, [1, D]), router.params.gate))[0]);
  loads(expert).forEach((count, e) => {
    const error = Math.sqrt(T * p[e] * (1 - p[e]));
    assert(Math.abs(count - T * p[e]) < 5 * error, `expert ${e}: ${count} of ${T}, expected ${T * p[e]}`);
  });
});

Deno.test("Sinkhorn's proposal changes nothing where experts divide tokens, and something where not", async () => {
  using _scope = memory(backend);
  for (const [T, same] of [[96, true], [97, false]] as const) {
    const found: Routing[] = [];
    for (const proposal of ["router", "sinkhorn"]) {
      found.push(await create(gumbelMatching, { proposal }).route(tokens(T), stepOf(T)));
    }
    const [plain, balanced] = await Promise.all(found.map(({ expert_N }) => expert_N.read()));
    assertEquals(plain.every((e, t) => e === balanced[t]), same, `${T} tokens`);
    if (!same) continue;
    // Rounding of scores of size 20, then an exponential.
    const [w, v] = await Promise.all(found.map(({ estimator }) => estimator!.importance_T.read()));
    w.forEach((weight, t) => assertAlmostEquals(v[t], weight, 2e-5 * weight));
  }
});

Deno.test("evaluation takes the most probable expert, without noise, capacity or estimator", async () => {
  using _scope = memory(backend);
  for (const plugin of [skip, gumbelMatching, base, sinkhorn]) {
    const router = create(plugin);
    const x_TD = tokens(96);
    const routing = await router.route(x_TD, stepOf(96, { training: false }));
    const [gate] = Object.values(router.params);
    assertEquals([...await routing.expert_N.read()], (await logits(x_TD, gate)).map(largest));
    assertEquals(routing.estimator, undefined);
    assertEquals(routing.gradientWeight_N, undefined);
  }
});

Deno.test("outputs weigh 1; the differentiable comparator weighs by p and has no estimator", async () => {
  using _scope = memory(backend);
  for (const plugin of sampling) {
    const x_TD = tokens(48);
    const sampled = await create(plugin).route(x_TD, stepOf(48));
    assertEquals(await sampled.weight_N.read(), new Float32Array(48).fill(1));
    const router = create(plugin, { gradient: "differentiable" });
    const routing = await router.route(x_TD, stepOf(48));
    assertEquals(await routing.wanted_N.read(), await sampled.wanted_N.read(), "the same draw");
    assertEquals([routing.estimator, routing.gradientWeight_N], [undefined, undefined]);
    const probability = (await logits(x_TD, router.params.gate)).map(softmaxOf);
    const wanted = await routing.wanted_N.read();
    (await routing.weight_N.read()).forEach((weight, t) => {
      assertAlmostEquals(weight, probability[t][wanted[t]], 1e-5);
    });
  }
});

Deno.test("the unweighted comparators draw the same and weigh what is kept by 1", async () => {
  using _scope = memory(backend);
  for (const plugin of sampling) {
    const [a, b] = [true, false].map((weighted) =>
      create(plugin, { weighted }).route(tokens(48), stepOf(48))
    );
    const [weighted, plain] = [await a, await b];
    const expert = await plain.expert_N.read();
    assertEquals(expert, await weighted.expert_N.read());
    const importance = await plain.estimator!.importance_T.read();
    assertEquals([...importance], Array.from(expert, (e) => Number(e >= 0)));
    assert((await weighted.estimator!.importance_T.read()).some((w) => w > 1.01), "weights differ from 1");
  }
});

Deno.test("the trainer's surrogate has the estimator as its gradient", async () => {
  using _scope = memory(backend);
  for (const plugin of sampling) {
    const T = 24;
    const router = create(plugin);
    const x_TD = tokens(T);
    const { estimator, wanted_N } = await router.route(x_TD, stepOf(T));
    const f = random(8).uniform(T).map((value) => 3 * value);
    const loss_T = tensor(backend, f, [T]);
    const [found] = await gradients(scoreFunctionLoss(loss_T, estimator!), [router.params.gate]);
    const probability = (await logits(x_TD, router.params.gate)).map(softmaxOf);
    const [x, w, wanted] = [await x_TD.read(), await estimator!.importance_T.read(), await wanted_N.read()];
    const want = new Float64Array(D * E);
    for (let t = 0; t < T; t++) {
      for (let e = 0; e < E; e++) {
        const toLogit = w[t] * (f[t] - estimator!.baseline) * (Number(wanted[t] === e) - probability[t][e]) /
          T;
        for (let d = 0; d < D; d++) want[d * E + e] += x[t * D + d] * toLogit;
      }
    }
    const scale = Math.max(...want.map(Math.abs));
    (await found!.read()).forEach((value, at) => assertAlmostEquals(value, want[at], 1e-5 * scale));
    const [meanLoss] = await weightedMeanLoss(loss_T, estimator!).read();
    const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
    assertAlmostEquals(meanLoss, sumOf(Array.from(f, (value, t) => w[t] * value)) / sumOf(w), 1e-5);
  }
});

Deno.test("gradient weights scale what experts learn from each token, and change no output", async () => {
  using _scope = memory(backend);
  const [T, experts] = [6, 3];
  const expert = [0, 1, -1, 2, 0, 1];
  const factor = [1, 2.5, 0, 0.5, 3, 1];
  const direction = random(9).normal(T * D);
  const learn = async (gradientWeight: boolean, scaled: boolean) => {
    const router: Router = {
      params: {},
      route: (x_TD) => ({
        token_N: wholeNumbers(x_TD, [T], (t) => t),
        expert_N: wholeNumbers(x_TD, [T], (t) => expert[t]),
        wanted_N: wholeNumbers(x_TD, [T], (t) => Math.max(0, expert[t])),
        weight_N: tensor(backend, new Float32Array(T).fill(1), [T]),
        ...(gradientWeight ? { gradientWeight_N: tensor(backend, factor, [T]) } : {}),
        choices: 1,
        losses: {},
      }),
    };
    const bank = feedForward.create(
      { D, F: 8, E: experts },
      feedForward.options.parse({}),
      createInit(backend, random(10)),
    );
    const layer = createMoeLayer({ D, E: experts, router, experts: bank });
    const { y_TD } = await layer.apply(tokens(T), stepOf(T));
    // The derivative of the loss by each token's output, times the token's factor where it is not the layer that does it.
    const slope = direction.map((value, at) => value * (scaled ? factor[Math.floor(at / D)] : 1));
    const params = Object.values(bank.params) as Parameter[];
    const found = await gradients(sumAll(multiply(y_TD, tensor(backend, slope, [T, D]))), params);
    return { y: await y_TD.read(), gradients: await Promise.all(found.map((gradient) => gradient!.read())) };
  };
  const [plain, weighted, byHand] = [
    await learn(false, false),
    await learn(true, false),
    await learn(false, true),
  ];
  assertEquals(weighted.y, plain.y);
  weighted.gradients.forEach((values, at) => {
    const scale = Math.max(...byHand.gradients[at].map(Math.abs));
    values.forEach((value, i) => assertAlmostEquals(value, byHand.gradients[at][i], 1e-5 * scale));
    assert(
      values.some((value, i) => Math.abs(value - plain.gradients[at][i]) > 1e-3 * scale),
      "they scale something",
    );
  });
});

Deno.test("the baseline starts at log V, follows the loss, and goes with a checkpoint", async () => {
  using _scope = memory(backend);
  for (const plugin of sampling) {
    const router = create(plugin, { baselineDecay: 0.75 });
    const next = async (of: Router) => (await of.route(tokens(24), stepOf(24))).estimator!;
    const first = await next(router);
    assertEquals(first.baseline, Math.fround(Math.log(V)));
    first.observeLoss!(2);
    first.observeLoss!(NaN);
    const want = 0.75 * Math.fround(Math.log(V)) + 0.25 * 2;
    assertAlmostEquals((await next(router)).baseline, want, 1e-6);
    const copy = create(plugin);
    copy.restore!(router.state!());
    assertEquals((await next(copy)).baseline, (await next(router)).baseline);
    const without = create(plugin, { baseline: "none" });
    assertEquals([without.state, (await next(without)).baseline], [undefined, 0]);
  }
});

Deno.test("padding is not drawn for, has weight 0 and takes no place", async () => {
  using _scope = memory(backend);
  const T = 60;
  const real = Float32Array.from({ length: T }, (_, t) => Number(t % 5 !== 4));
  for (const plugin of sampling) {
    const { expert_N, estimator } = await create(plugin).route(
      tokens(T),
      stepOf(T, { real_T: tensor(backend, real, [T]) }),
    );
    const [expert, weight] = [await expert_N.read(), await estimator!.importance_T.read()];
    expert.forEach((e, t) => real[t] === 0 && assertEquals([e, weight[t]], [-1, 0]));
    // 48 real tokens on 6 experts: 8 each, or at most 8 each.
    assert(
      loads(expert).every((count) => plugin === skip ? count <= 8 : count === 8),
      `loads ${loads(expert)}`,
    );
  }
});

Deno.test("a balance loss is added when asked for", async () => {
  using _scope = memory(backend);
  for (const plugin of sampling) {
    const router = create(plugin, { balance: 0.5 });
    const { losses, estimator } = await router.route(tokens(48), stepOf(48));
    const [balance] = await losses.balance.read();
    assert(balance > 0 && balance < 0.5 * E, `the loss is ${balance}`);
    const all = add(
      losses.balance,
      scoreFunctionLoss(tensor(backend, new Float32Array(48), [48]), estimator!),
    );
    assert((await (await gradients(all, [router.params.gate]))[0]!.read()).some((value) => value !== 0));
    assertEquals((await create(plugin).route(tokens(48), stepOf(48))).losses, {});
  }
});

Deno.test("base: the assignment beats every swap of two tokens, and weighs by the sigmoid of the affinity", async () => {
  using _scope = memory(backend);
  const T = 48;
  const router = create(base);
  const x_TD = tokens(T);
  const { expert_N, weight_N } = await router.route(x_TD, stepOf(T));
  const affinity = await logits(x_TD, router.params.centroids);
  const [expert, weight] = [await expert_N.read(), await weight_N.read()];
  for (let a = 0; a < T; a++) {
    assertAlmostEquals(weight[a], 1 / (1 + Math.exp(-affinity[a][expert[a]])), 1e-5);
    for (let b = 0; b < a; b++) {
      const kept = affinity[a][expert[a]] + affinity[b][expert[b]];
      assert(affinity[a][expert[b]] + affinity[b][expert[a]] <= kept + 1e-5, `tokens ${a} and ${b}`);
    }
  }
});

Deno.test("orthogonal: columns, or rows where they are fewer, are orthogonal and of the length named", () => {
  for (const [rows, columns] of [[16, 6], [6, 16], [8, 8], [1, 5], [200, 64]]) {
    const values = orthogonal(rows, columns, 0.1)(random(11), rows * columns);
    const at = (vector: number, i: number) =>
      columns <= rows ? values[i * columns + vector] : values[vector * columns + i];
    const [vectors, length] = [Math.min(rows, columns), Math.max(rows, columns)];
    for (let a = 0; a < vectors; a++) {
      for (let b = 0; b <= a; b++) {
        let product = 0;
        for (let i = 0; i < length; i++) product += at(a, i) * at(b, i);
        assertAlmostEquals(product, a === b ? 0.01 : 0, 1e-8);
      }
    }
  }
  assertThrows(() => orthogonal(2, 3, 1)(random(0), 5), RangeError, "Cannot fill 5 values");
});

Deno.test("sinkhorn: the plan's choices are more even than the logits', and weigh by the sigmoid", async () => {
  using _scope = memory(backend);
  const T = 960;
  const router = create(sinkhorn, { sinkhornIterations: 50 });
  const x_TD = tokens(T);
  const spread = (count: readonly number[]) => Math.max(...count) - Math.min(...count);
  const training = await router.route(x_TD, stepOf(T));
  const [expert, weight] = [await training.expert_N.read(), await training.weight_N.read()];
  const logit = await logits(x_TD, router.params.gate);
  const [planned, plain] = [spread(loads(expert)), spread(loads(logit.map(largest)))];
  assert(planned < plain / 3, `loads differ by ${planned} under the plan, by ${plain} without it`);
  weight.forEach((value, t) => assertAlmostEquals(value, 1 / (1 + Math.exp(-logit[t][expert[t]])), 1e-5));

  const two = await create(sinkhorn, { k: 2 }).route(x_TD, stepOf(T));
  const [experts, weights] = [await two.expert_N.read(), await two.weight_N.read()];
  experts.forEach((e, n) => {
    const t = Math.floor(n / 2);
    assertAlmostEquals(weights[n], softmaxOf(logit[t])[e], 1e-5);
    assert(n % 2 === 0 || experts[n - 1] !== e);
  });
  assertThrows(
    () => create(sinkhorn, { k: 7 }).route(x_TD, stepOf(T)),
    RangeError,
    "choices = 7 exceeds 6 experts",
  );
});
