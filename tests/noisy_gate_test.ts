// Noisy top-k, flat and hierarchical: the probability of being picked against its definition by simulation, everything
// else against plain loops, and equalities with other gates.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { hierarchical } from "../routers/hierarchical.ts";
import { squaredVariation } from "../routers/parts/losses.ts";
import { type NoisyGateOptions, noisyTopK } from "../routers/parts/noisy_gate.ts";
import { noisyTopKRouter } from "../routers/noisy_top_k.ts";
import { parseOptions } from "../routers/registry.ts";
import { topAny } from "../routers/top_any.ts";
import { normalCdf, softplus } from "../tensor/activations.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { tensor } from "../tensor/tensor.ts";
import { best, givenInit, identity, routeOnce, rowsOf, softmax64 } from "./route_once.ts";

const backend = await cpu({ threads: 1 });
const EPSILON = 2 ** -24;

const softplus64 = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** Phi by its integral (Simpson), good to 1e-12 within 8 standard deviations. */
function phi64(z: number): number {
  const [low, steps] = [-10, 4000];
  const at = Math.max(low, Math.min(10, z));
  const width = (at - low) / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    sum += (i === 0 || i === steps ? 1 : i % 2 ? 4 : 2) * Math.exp(-((low + i * width) ** 2) / 2);
  }
  return sum * width / 3 / Math.sqrt(2 * Math.PI);
}

function variation64(values: readonly number[], minus: number): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const sum = values.reduce((total, value) => total + (value - mean) ** 2, 0);
  return sum / (values.length - minus) / (mean * mean + 1e-10);
}

/** P(x, i) of one row in f64: equation 9, or the variant with one threshold for all. */
function selected64(
  clean: number[],
  noisy: number[],
  deviation: number[],
  k: number,
  shared: boolean,
): number[] {
  return clean.map((value, i) => {
    const others = noisy.filter((_, at) => shared || at !== i).sort((a, b) => b - a);
    return phi64((value - others[k - 1]) / deviation[i]);
  });
}

const conventions: NoisyGateOptions = {
  noise: "softplus",
  noiseFloor: 0,
  threshold: "excluding",
  importance: 0.1,
  load: 0.1,
  variance: "population",
};

Deno.test("softplus and the normal distribution function are exact over their range", async () => {
  using _scope = memory(backend);
  const x = Float32Array.from({ length: 401 }, (_, at) => (at - 200) / 2.5);
  const found = await softplus(tensor(backend, x, [401])).read();
  const phi = await normalCdf(tensor(backend, x, [401])).read();
  x.forEach((value, at) => {
    const want = softplus64(value);
    assertAlmostEquals(found[at], want, 16 * EPSILON * want + 1e-45, `softplus(${value})`);
    // Two terms of size x phi(x) cancel in the tail: the error is that of the larger.
    const bell = Math.abs(value) * Math.exp(-value * value / 2);
    assertAlmostEquals(phi[at], phi64(value), 64 * EPSILON * (bell + phi64(value)) + 1e-12, `Phi(${value})`);
  });
});

Deno.test("P(x, i) is the chance of being picked when an expert's own noise is drawn anew", async () => {
  using _scope = memory(backend);
  const [E, draws] = [6, 400_000];
  const clean = Array.from(random(3).normal(E));
  const deviation = Array.from(random(4).uniform(E), (u) => 0.3 + u);
  const stream = random(5);
  for (const K of [1, 2, 5]) {
    const choices = noisyTopK(
      { clean_TE: tensor(backend, clean, [1, E]), deviation: tensor(backend, deviation, [1, E]) },
      K,
      conventions,
      stream,
    );
    const found = await choices.selected_TE!.read();
    const noise = stream.split("noise").normal(E);
    const noisy = clean.map((value, i) => value + noise[i] * deviation[i]);
    const want = selected64(clean, noisy, deviation, K, false);
    for (let i = 0; i < E; i++) {
      assertAlmostEquals(found[i], want[i], 1e-5);
      const others = noisy.filter((_, at) => at !== i);
      let picked = 0;
      for (const draw of random(6).split(K).split(i).normal(draws)) {
        const own = clean[i] + draw * deviation[i];
        if (others.filter((other) => other > own).length < K) picked++;
      }
      const deviationOfShare = Math.sqrt(want[i] * (1 - want[i]) / draws) + 1 / draws;
      assert(Math.abs(picked / draws - want[i]) < 4 * deviationOfShare, `K ${K}, expert ${i}`);
    }
    // One threshold for all, as in V-MoE and Tutel, lowers P for those that were picked and for nobody else.
    const one = noisyTopK(
      { clean_TE: tensor(backend, clean, [1, E]), deviation: tensor(backend, deviation, [1, E]) },
      K,
      { ...conventions, threshold: "shared" },
      stream,
    );
    const shared = await one.selected_TE!.read();
    const among = best(noisy, K);
    selected64(clean, noisy, deviation, K, true).forEach((value, i) => {
      assertAlmostEquals(shared[i], value, 1e-5);
      assertEquals(value < want[i] - 1e-6, among.includes(i) && want[i] < 1 - 1e-6);
      assert(shared[i] <= found[i]);
    });
  }
});

Deno.test("squared variation: population and sample differ by E / (E - 1)", async () => {
  using _scope = memory(backend);
  const load = [3, 1, 4, 1, 5, 9, 2, 6];
  const of = (variance: "population" | "sample") =>
    scalar(squaredVariation(tensor(backend, load, [8]), variance));
  assertAlmostEquals(await of("population"), variation64(load, 0), 1e-6);
  assertAlmostEquals(await of("sample"), variation64(load, 1), 1e-6);
  assertAlmostEquals(await of("sample") / await of("population"), 8 / 7, 1e-6);
  assertEquals(await scalar(squaredVariation(tensor(backend, [2, 2, 2], [3]), "population")), 0);
  assertEquals(await scalar(squaredVariation(tensor(backend, [5], [1]), "sample")), 0);
});

Deno.test("noisy top-k is plain loops over its equations, in every convention", async () => {
  const [T, D, E, K] = [9, 5, 7, 3];
  const x = Array.from(random(1).normal(T * D));
  const gate = Array.from(random(2).normal(D * E));
  const noiseGate = Array.from(random(3).normal(D * E));
  const real = [1, 1, 0, 1, 1, 1, 1, 0, 1];
  for (const noise of ["softplus", "fixed", "none"] as const) {
    for (const threshold of ["excluding", "shared"] as const) {
      for (const variance of ["population", "sample"] as const) {
        for (const training of [true, false]) {
          using _scope = memory(backend);
          const options = { k: K, noise, threshold, variance, noiseFloor: 0.02, importance: 0.3, load: 0.7 };
          const given = { gate, noise: noiseGate };
          const found = await routeOnce(backend, noisyTopKRouter, {
            x,
            D,
            E,
            given,
            options,
            training,
            real,
            seed: 8,
          });
          const drawn = random(8).split("noise").normal(T * E);
          const product = (t: number, weights: readonly number[], e: number) =>
            Array.from({ length: D }, (_, d) => x[t * D + d] * weights[d * E + e]).reduce((a, b) => a + b, 0);
          const importance = new Array<number>(E).fill(0);
          const load = new Array<number>(E).fill(0);
          for (let t = 0; t < T; t++) {
            const clean = Array.from({ length: E }, (_, e) => product(t, gate, e));
            const deviation = Array.from(
              { length: E },
              (_, e) =>
                noise === "softplus"
                  ? softplus64(product(t, noiseGate, e)) + 0.02
                  : noise === "fixed"
                  ? 1 / E
                  : 0,
            );
            const noisy = clean.map((value, e) => value + (training ? drawn[t * E + e] * deviation[e] : 0));
            const picked = best(noisy, K);
            const weight = softmax64(picked.map((e) => noisy[e]));
            picked.forEach((e, choice) => {
              assertEquals(found.wanted[t * K + choice], real[t] ? e : -1);
              // A gate sees zeros in place of padding, and what it makes of them goes nowhere.
              if (real[t]) assertAlmostEquals(found.weight[t * K + choice], weight[choice], 1e-5);
              importance[e] += real[t] * weight[choice];
            });
            if (noise === "none") continue;
            selected64(clean, noisy, deviation, K, threshold === "shared").forEach((p, e) =>
              load[e] += real[t] * p
            );
          }
          const minus = variance === "sample" ? 1 : 0;
          assertAlmostEquals(found.losses.importance, 0.3 * variation64(importance, minus), 1e-5);
          assertEquals("load" in found.losses, noise !== "none");
          if (noise !== "none") assertAlmostEquals(found.losses.load, 0.7 * variation64(load, minus), 2e-5);
        }
      }
    }
  }
});

Deno.test("gates start at zero, and with every expert picked the load is even", async () => {
  using _scope = memory(backend);
  const router = noisyTopKRouter.create(
    { D: 3, E: 4, V: 9 },
    parseOptions(noisyTopKRouter),
    givenInit(backend, {}),
  );
  for (const param of Object.values((await router).params)) {
    assert((await param.read()).every((value) => value === 0));
  }
  const all = await routeOnce(backend, noisyTopKRouter, {
    x: Array.from(random(1).normal(12)),
    D: 3,
    E: 4,
    given: { gate: Array.from(random(2).normal(12)) },
    options: { k: 4 },
    training: true,
  });
  assertEquals(all.losses.load, 0);
  assertThrows(
    () => noisyTopKRouter.create({ D: 3, E: 2, V: 9 }, parseOptions(noisyTopKRouter), givenInit(backend, {})),
    RangeError,
    "k is 4, and there are 2 experts",
  );
});

Deno.test("softmax over the kept logits equals softmax over all, renormalised (Mixtral); unnormalised sums to less", async () => {
  using _scope = memory(backend);
  const [T, E] = [20, 6];
  const batch = { x: Array.from(random(9).normal(T * E)), D: E, E, given: { gate: identity(E) } };
  const kept = await routeOnce(backend, noisyTopKRouter, { ...batch, options: { k: 2, noise: "none" } });
  const renormalised = await routeOnce(backend, topAny, { ...batch, options: { capacityFactor: 0 } });
  assertEquals(kept.expert, renormalised.expert);
  kept.weight.forEach((weight, n) => assertAlmostEquals(weight, renormalised.weight[n], 8 * EPSILON));
  const raw = await routeOnce(backend, topAny, {
    ...batch,
    options: { capacityFactor: 0, normalize: false },
  });
  for (const [first, second] of rowsOf(raw.weight, 2)) assert(first + second < 1);
});

Deno.test("hierarchical gating is plain loops over appendix B", async () => {
  const [T, D, groups, inside, k1, k2] = [11, 4, 3, 4, 2, 2];
  const E = groups * inside;
  const K = k1 * k2;
  const draw = (seed: number, count: number) => Array.from(random(seed).normal(count));
  const x = draw(1, T * D);
  const given = {
    firstGate: draw(2, D * groups),
    firstNoise: draw(3, D * groups),
    secondGate: draw(4, D * E),
    secondNoise: draw(5, D * E),
  };
  const real = Array.from({ length: T }, (_, t) => t === 4 ? 0 : 1);
  const product = (t: number, weights: readonly number[], columns: number, column: number) =>
    Array.from({ length: D }, (_, d) => x[t * D + d] * weights[d * columns + column]).reduce(
      (a, b) => a + b,
      0,
    );
  for (const training of [true, false]) {
    using _scope = memory(backend);
    const options = { expertGroups: groups, k1, k2, importance: 0.4, load: 0.6 };
    const found = await routeOnce(backend, hierarchical, {
      x,
      D,
      E,
      given,
      options,
      training,
      real,
      seed: 6,
    });
    const noise = (level: string, count: number) => random(6).split(level).split("noise").normal(count);
    const [firstNoise, secondNoise] = [noise("first", T * groups), noise("second", T * E)];
    const importance = new Array<number>(E).fill(0);
    const groupLoad = new Array<number>(groups).fill(0);
    const sent = new Array<number>(groups).fill(0);
    const insideLoad = new Array<number>(E).fill(0);
    for (let t = 0; t < T; t++) {
      const level = (
        gate: number[],
        noiseGate: number[],
        columns: number,
        from: number,
        count: number,
        drawn: Float32Array,
      ) => {
        const columnsOf = Array.from({ length: count }, (_, at) => from + at);
        const clean = columnsOf.map((column) => product(t, gate, columns, column));
        const deviation = columnsOf.map((column) => softplus64(product(t, noiseGate, columns, column)));
        const noisy = clean.map((value, at) =>
          value + (training ? drawn[t * columns + from + at] * deviation[at] : 0)
        );
        return { clean, deviation, noisy };
      };
      const top = level(given.firstGate, given.firstNoise, groups, 0, groups, firstNoise);
      const picked = best(top.noisy, k1);
      const weights = softmax64(picked.map((group) => top.noisy[group]));
      const want: { expert: number; weight: number }[] = [];
      if (real[t]) {
        selected64(top.clean, top.noisy, top.deviation, k1, false).forEach((p, group) =>
          groupLoad[group] += p
        );
      }
      picked.forEach((group, at) => {
        const low = level(given.secondGate, given.secondNoise, E, group * inside, inside, secondNoise);
        const chosen = best(low.noisy, k2);
        softmax64(chosen.map((e) => low.noisy[e])).forEach((weight, choice) =>
          want.push({ expert: group * inside + chosen[choice], weight: weight * weights[at] })
        );
        if (!real[t]) return;
        sent[group]++;
        selected64(low.clean, low.noisy, low.deviation, k2, false)
          .forEach((p, e) => insideLoad[group * inside + e] += p);
      });
      want.sort((a, b) => b.weight - a.weight);
      want.forEach(({ expert, weight }, choice) => {
        assertEquals(found.wanted[t * K + choice], real[t] ? expert : -1);
        if (!real[t]) return;
        assertAlmostEquals(found.weight[t * K + choice], weight, 1e-5);
        importance[expert] += weight;
      });
    }
    const load = insideLoad.map((value, e) => {
      const group = Math.floor(e / inside);
      return value * groupLoad[group] / Math.max(1, sent[group]);
    });
    assertAlmostEquals(found.losses.importance, 0.4 * variation64(importance, 0), 1e-5);
    assertAlmostEquals(found.losses.load, 0.6 * variation64(load, 0), 5e-5);
  }
});

Deno.test("hierarchical: weights that underflow do not change who is picked; groups are checked", async () => {
  using _scope = memory(backend);
  const [E, groups] = [8, 2];
  // The first gate prefers group 1 by far more than f32 can weigh; the second prefers experts 2, 3 and 6, 7.
  const x = [1];
  const given = { firstGate: [0, 500], secondGate: [0, 0, 200, 400, 0, 0, 200, 400] };
  const options = { expertGroups: groups, k1: 2, k2: 2, noise: "none" };
  const found = await routeOnce(backend, hierarchical, { x, D: 1, E, given, options });
  assertEquals(found.wanted.toSorted(), [2, 3, 6, 7]);
  assertEquals(found.weight.filter((weight) => weight > 0), [1]);
  const make = (E: number, options: Record<string, unknown>) => () =>
    hierarchical.create({ D: 1, E, V: 9 }, parseOptions(hierarchical, options), givenInit(backend, {}));
  assertThrows(make(8, { expertGroups: 3 }), RangeError, "do not fit 8 experts");
  assertThrows(make(8, { expertGroups: 2, k2: 5 }), RangeError, "do not fit 8 experts");
  assertThrows(make(3, {}), RangeError, "do not fit 3 experts");
});
