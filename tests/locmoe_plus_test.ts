// LocMoE+ against plain loops: token choice, then expert choice among those who chose; one side alone; threshold, bound,
// weights, scopes, cadence; and which of its modes look at later tokens.
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { locmoePlus, type LocmoePlusOptions } from "../routers/locmoe_plus.ts";
import { parseOptions } from "../routers/registry.ts";
import type { Router } from "../routers/router.ts";
import { layOut, type Topology } from "../routers/parts/topology.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { parameter, type Tensor, tensor } from "../tensor/tensor.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

const [T, D, E] = [60, 24, 6];
const tokens = (seed = 1) => random(seed).normal(T * D).map((value, at) => value + 0.3 * Math.sin(at % D));

interface Setting {
  readonly options?: Partial<LocmoePlusOptions>;
  readonly x?: Float32Array;
  readonly real?: readonly number[];
  readonly topology?: Topology;
  readonly training?: boolean;
  readonly step?: number;
  readonly router?: Router;
}

function create(options: Partial<LocmoePlusOptions> = {}): Router {
  return locmoePlus.create(
    { D, E, V: 10 },
    parseOptions(locmoePlus, options),
    createInit(backend, random(1)),
  );
}

async function route(x_TD: Tensor, setting: Setting) {
  const { options, real, topology, training = true, step = 0, router = create(options) } = setting;
  return await router.route(x_TD, {
    training,
    step,
    random: random(2),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(1, T),
    ...(real ? { real_T: tensor(backend, real, [T]) } : {}),
    ...(topology ? { topology } : {}),
  });
}

/** Kept pairs "token expert" with their weights. */
async function kept(setting: Setting): Promise<Map<string, number>> {
  using _scope = memory(backend);
  const { token_N, expert_N, weight_N } = await route(
    tensor(backend, setting.x ?? tokens(), [T, D]),
    setting,
  );
  const [token, expert, weight] = [await token_N.read(), await expert_N.read(), await weight_N.read()];
  const pairs = [...token.keys()].filter((n) => expert[n] >= 0)
    .map((n): [string, number] => [`${token[n]} ${expert[n]}`, weight[n]]);
  assertEquals(new Set(pairs.map(([pair]) => pair)).size, pairs.length, "no pair twice");
  return new Map(pairs.sort(([a], [b]) => a < b ? -1 : 1));
}

/** Cosines in f64, [token][expert]. */
function cosines(x: Float32Array): number[][] {
  return Array.from({ length: T }, (_, t) => {
    const row = [...x.subarray(t * D, (t + 1) * D)];
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    return Array.from({ length: E }, (_, e) => {
      const mean = row.slice(e * D / E, (e + 1) * D / E).reduce((sum, value) => sum + value, 0) * E / D;
      return mean * Math.sqrt(D / E) / norm;
    });
  });
}

const descending = (affinity: readonly number[]) =>
  [...affinity.keys()].sort((a, b) => affinity[b] - affinity[a] || a - b);

interface LoopRule {
  readonly choices: number;
  readonly capacity: number;
  readonly threshold: number | null;
  readonly least: number;
  readonly real?: readonly number[];
  readonly ranks?: number;
}

/** Steps 1 to 3 of the two-sided selection, one token and one expert at a time. */
function twoSided(affinity: number[][], rule: LoopRule): string[] {
  const { choices, capacity, threshold, least, real, ranks = 1 } = rule;
  const pairs: string[] = [];
  for (let rank = 0; rank < ranks; rank++) {
    for (let expert = 0; expert < E; expert++) {
      const candidates = [...affinity.keys()].filter((t) =>
        Math.floor(t * ranks / T) === rank && (real?.[t] ?? 1) === 1 &&
        descending(affinity[t]).slice(0, choices).includes(expert)
      ).sort((a, b) => affinity[b][expert] - affinity[a][expert] || a - b);
      const scores = candidates.map((t) => affinity[t][expert]);
      const lowest = Math.min(0, ...scores);
      const total = scores.reduce((sum, score) => sum + (score - lowest), 0);
      let count = candidates.length;
      if (threshold !== null) {
        let sum = 0;
        const reached = scores.findIndex((score) => (sum += score - lowest) >= threshold * total);
        count = Math.max(reached + 1, Math.ceil(least));
      }
      for (const token of candidates.slice(0, Math.min(count, capacity))) pairs.push(`${token} ${expert}`);
    }
  }
  return pairs.sort((a, b) => a < b ? -1 : 1);
}

const pairsOf = (found: Map<string, number>) => [...found.keys()];

for (const choices of [1, 2, 3]) {
  for (const threshold of [null, 0.5, 0.8, 1]) {
    Deno.test(`${choices} choices, threshold ${threshold}: equals equations 5 and 6 in plain loops`, async () => {
      for (const seed of [1, 2, 3]) {
        const x = tokens(seed);
        const options = {
          k: choices,
          threshold,
          bound: "off",
          capacityRule: "ceil",
          capacityFactor: 1,
        } as const;
        const capacity = Math.ceil(choices * T / E);
        const want = twoSided(cosines(x), { choices, capacity, threshold, least: 1 });
        assertEquals(pairsOf(await kept({ x, options })), want);
      }
    });
  }
}

Deno.test("an expert keeps its highest affinities, not its lowest (the printed Bottom-C is read as Top-C)", async () => {
  const x = tokens();
  const affinity = cosines(x);
  const found = pairsOf(await kept({ options: { threshold: 0.5, bound: "off", capacityRule: "dropless" } }));
  const keptBy = (expert: number) => found.filter((pair) => pair.endsWith(` ${expert}`)).map(parseFloat);
  for (let expert = 0; expert < E; expert++) {
    const mine = new Set(keptBy(expert));
    const refused = [...affinity.keys()].filter((t) => descending(affinity[t])[0] === expert && !mine.has(t));
    assert(refused.length > 0);
    const worst = Math.min(...[...mine].map((t) => affinity[t][expert]));
    assert(refused.every((t) => affinity[t][expert] <= worst));
  }
});

Deno.test("with the expert side off it is token choice", async () => {
  for (const choices of [1, 2]) {
    const off = { k: choices, threshold: null, capacityRule: "dropless" } as const;
    const affinity = cosines(tokens());
    const want = affinity.flatMap((row, t) => descending(row).slice(0, choices).map((e) => `${t} ${e}`))
      .sort();
    assertEquals(pairsOf(await kept({ options: off })).sort(), want);
    assertEquals(await kept({ options: { ...off, mode: "tcr" } }), await kept({ options: off }));
  }
});

Deno.test("mode tcr keeps by position, up to capacity", async () => {
  const options = { mode: "tcr", capacityRule: "ceil", capacityFactor: 0.5 } as const;
  const next = new Array<number>(E).fill(0);
  const want = cosines(tokens()).flatMap((row, t) => {
    const expert = descending(row)[0];
    return next[expert]++ < Math.ceil(0.5 * T / E) ? [`${t} ${expert}`] : [];
  });
  assertEquals(pairsOf(await kept({ options })).sort(), want.sort());
});

Deno.test("with the token side off it is expert choice", async () => {
  const affinity = cosines(tokens());
  const C = Math.ceil(1.1 * T / E);
  const want = Array.from(
    { length: E },
    (_, e) => descending(affinity.map((row) => row[e])).slice(0, C).map((t) => `${t} ${e}`),
  ).flat().sort();
  assertEquals(pairsOf(await kept({ options: { mode: "ecr", threshold: null } })).sort(), want);
  // All experts chosen is no choice: both sides with l = E agree, each with capacity for its own number of choices.
  const everyone = { k: E, threshold: null, capacityFactor: 1.1 / E } as const;
  assertEquals(pairsOf(await kept({ options: everyone })).sort(), want);
  for (const threshold of [0.3, 0.7]) {
    const options = { threshold, bound: "off" } as const;
    const alone = await kept({ options: { ...options, mode: "ecr" } });
    assertEquals(pairsOf(await kept({ options: { ...everyone, ...options } })), pairsOf(alone));
  }
});

Deno.test("padding has no expert in any mode, and what is left is routed by the same loops", async () => {
  const real = Array.from({ length: T }, (_, t) => t % 5 < 3 ? 1 : 0);
  const all = { capacityRule: "dropless", bound: "off" } as const;
  const rule = { capacity: T, threshold: 0.6, least: 1, real };
  const x = tokens();
  const both = await kept({ x, real, options: { ...all, threshold: 0.6 } });
  assertEquals(pairsOf(both), twoSided(cosines(x), { ...rule, choices: 1 }));
  const experts = await kept({ x, real, options: { ...all, threshold: 0.6, mode: "ecr" } });
  assertEquals(pairsOf(experts), twoSided(cosines(x), { ...rule, choices: E }));
});

Deno.test("the dynamic bound follows remark 7 on the batch's affinity, between minimum and capacity", async () => {
  // Tokens that lean to one chunk each, so that affinities are high.
  const x = tokens().map((value, at) =>
    value + (Math.floor(at % D / (D / E)) === Math.floor(at / D) % E ? 1.6 : 0)
  );
  const best = cosines(x).map((row) => Math.max(...row));
  const leastOf = (delta: number) => Math.exp(D * delta ** 2 / (2 - delta ** 2)) / E;
  const rule = { choices: 1, capacity: Math.ceil(3 * T / E), threshold: 0.1 };
  const options = { threshold: 0.1, capacityRule: "ceil", capacityFactor: 3 } as const;
  const mean = leastOf(best.reduce((sum, value) => sum + value) / T);
  assert(mean > 2 && Math.abs(mean - Math.round(mean)) > 0.01, `${mean}: the case must tell rounding up`);
  const want = twoSided(cosines(x), { ...rule, least: mean });
  assertEquals(pairsOf(await kept({ x, options })), want);
  assertNotEquals(want, twoSided(cosines(x), { ...rule, least: 1 }), "the bound must matter");
  const largest = twoSided(cosines(x), { ...rule, least: leastOf(Math.max(...best)) });
  assertEquals(pairsOf(await kept({ x, options: { ...options, deltaFrom: "largest" } })), largest);
  const fixed = { ...options, bound: "fixed", delta: 0.5 } as const;
  assertEquals(
    pairsOf(await kept({ x, options: fixed })),
    twoSided(cosines(x), { ...rule, least: leastOf(0.5) }),
  );
  const least = { ...options, bound: "off", minimumCapacity: 4 } as const;
  assertEquals(pairsOf(await kept({ x, options: least })), twoSided(cosines(x), { ...rule, least: 4 }));
});

Deno.test("d is measured every so many steps of training, remembered, and carried by state", async () => {
  using _scope = memory(backend);
  const options = { boundEvery: 3, boundMemory: 0.25, delta: 0.1 } as const;
  const router = create(options);
  const d = () => router.state!().delta[0];
  const measured = (x: Float32Array) => cosines(x).reduce((sum, row) => sum + Math.max(...row), 0) / T;
  const at = async (step: number, seed: number, training = true) => {
    await route(tensor(backend, tokens(seed), [T, D]), { router, step, training });
  };
  assertAlmostEquals(d(), 0.1, 1e-7);
  await at(0, 4, false);
  assertAlmostEquals(d(), 0.1, 1e-7, "evaluation measures nothing");
  await at(0, 4);
  const first = 0.25 * 0.1 + 0.75 * measured(tokens(4));
  assertAlmostEquals(d(), first, 1e-6);
  await at(1, 5);
  await at(2, 5);
  assertAlmostEquals(d(), first, 1e-6);
  await at(3, 5);
  assertAlmostEquals(d(), 0.25 * first + 0.75 * measured(tokens(5)), 1e-6);
  const other = create(options);
  other.restore!(router.state!());
  assertEquals(other.state!(), router.state!());
  assertEquals(create().state, undefined, "each batch's own d needs no memory");
});

Deno.test("a schedule is tcr before its step and ecr from it on, in evaluation too", async () => {
  const options = { mode: "schedule", scheduleSteps: 10 } as const;
  for (const training of [true, false]) {
    const of = (mode: "tcr" | "ecr") => kept({ options: { mode }, training });
    assertEquals(await kept({ options, step: 9, training }), await of("tcr"));
    assertEquals(await kept({ options, step: 10, training }), await of("ecr"));
  }
  const causal = { ...options, evaluation: "tcr" } as const;
  assertEquals(
    await kept({ options: causal, step: 99, training: false }),
    await kept({ options: { mode: "tcr" }, training: false }),
  );
});

Deno.test("scope rank lets experts rank each rank's tokens alone", async () => {
  const x = tokens();
  const topology = layOut({ sequences: equalSequences(T / 5, 5), E, ranks: 3, ranksPerNode: 1 });
  const options = { threshold: 0.6, bound: "off", capacityRule: "ceil", capacityFactor: 1 } as const;
  const capacity = Math.ceil(T / 3 / E);
  const rule = { choices: 1, threshold: 0.6, least: 1, capacity, ranks: 3 };
  const byRank = await kept({ x, topology, options: { ...options, scope: "rank" } });
  assertEquals(pairsOf(byRank), twoSided(cosines(x), rule));
  const global = await kept({ x, topology, options });
  assertEquals(pairsOf(global), twoSided(cosines(x), { ...rule, ranks: 1, capacity: T / E }));
  assertThrows(() => create({ scope: "rank", mode: "ecr" }), RangeError, 'choose scope "global"');
});

Deno.test("weights are softmax over all experts, over those that kept the token, or LocMoE's", async () => {
  const x = tokens();
  const affinity = cosines(x);
  const off = { k: 3, threshold: 0.7, bound: "off" } as const;
  const softmax = (row: readonly number[], at: number) =>
    Math.exp(row[at]) / row.reduce((sum, value) => sum + Math.exp(value), 0);
  const means = affinity.map((row, t) => {
    const norm = Math.sqrt(
      [...x.subarray(t * D, (t + 1) * D)].reduce((sum, value) => sum + value * value, 0),
    );
    return row.map((value) => Math.max(0, value * norm / Math.sqrt(D / E)));
  });
  for (const mode of ["both", "tcr", "ecr"] as const) {
    const by = (weight: LocmoePlusOptions["weight"]) => kept({ x, options: { ...off, mode, weight } });
    const [all, some, rectified] = [await by("softmax"), await by("kept"), await by("locmoe")];
    const keepers = Map.groupBy([...some.keys()].map((pair) => pair.split(" ").map(Number)), ([t]) => t);
    assertEquals(pairsOf(all), pairsOf(some));
    for (const [pair, weight] of all) {
      const [t, e] = pair.split(" ").map(Number);
      assertAlmostEquals(weight, softmax(affinity[t], e), 1e-6, `${mode} ${pair}`);
      assertAlmostEquals(rectified.get(pair)!, softmax(means[t], e), 1e-6, `${mode} ${pair}`);
      const experts = keepers.get(t)!.map(([, expert]) => expert);
      const among = experts.map((expert) => affinity[t][expert]);
      assertAlmostEquals(some.get(pair)!, softmax(among, experts.indexOf(e)), 1e-6, `${mode} ${pair}`);
    }
  }
});

Deno.test("weights carry a gradient to the tokens that equals finite differences", async () => {
  for (const weight of ["softmax", "kept", "locmoe"] as const) {
    for (const mode of ["both", "ecr"] as const) {
      using _scope = memory(backend);
      const setting = { options: { k: 2, weight, mode, threshold: 0.9, bound: "off" } as const };
      const values = tokens();
      const x_TD = parameter(backend, values, [T, D]);
      const weighed = async (x: Tensor) => {
        const { weight_N, expert_N, token_N } = await route(x, setting);
        const [expert, token] = [await expert_N.read(), await token_N.read()];
        const direction = Float32Array.from(expert, (e, n) => e < 0 ? 0 : Math.cos(7 * token[n] + e));
        return sumAll(multiply(weight_N, tensor(backend, direction, weight_N.shape)));
      };
      const [gradient] = await gradients(await weighed(x_TD), [x_TD]);
      const found = await gradient!.read();
      const before = await kept(setting);
      const step = 1e-2;
      let compared = 0;
      for (let at = 5; at < T * D; at += 131) {
        const moved = async (by: number) => {
          const changed = values.slice();
          changed[at] += by;
          assertEquals(pairsOf(await kept({ ...setting, x: changed })), pairsOf(before), "no decision flips");
          return (await (await weighed(tensor(backend, changed, [T, D]))).read())[0];
        };
        try {
          const want = (await moved(step) - await moved(-step)) / (2 * step);
          assertAlmostEquals(found[at], want, 2e-3, `${weight} ${mode} ${at}`);
          compared++;
        } catch (error) {
          // A step that flips a decision says nothing of the gradient.
          if (!(error as Error).message.includes("no decision flips")) throw error;
        }
      }
      assert(compared >= 6, `${weight} ${mode}: ${compared} places compared`);
      backend.free(x_TD.buffer);
    }
  }
});

Deno.test("mode tcr is causal; with experts choosing, a later token can take an earlier one's place", async () => {
  const x = tokens();
  const early = async (mode: "tcr" | "both" | "ecr", later: number) => {
    const changed = x.slice();
    for (let at = (T - 10) * D; at < T * D; at++) changed[at] = later * Math.abs(changed[at]);
    const found = await kept({ x: changed, options: { mode, capacityFactor: 0.5 } });
    return pairsOf(found).filter((pair) => parseInt(pair) < T - 10);
  };
  assertEquals(await early("tcr", 1), await early("tcr", -1));
  for (const mode of ["both", "ecr"] as const) assertNotEquals(await early(mode, 1), await early(mode, -1));
});

Deno.test("a token cannot choose more experts than there are", () => {
  assertThrows(() => create({ k: E + 1 }), RangeError, "cannot choose 7 of 6 experts");
});
