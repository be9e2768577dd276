// GShard against its algorithm 1, written out in loops as the paper prints it, and its random second expert against the
// probability the paper gives.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { gshard } from "../routers/gshard.ts";
import { parseOptions } from "../routers/registry.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";

const backend = await cpu({ threads: 1 });
const [T, D, E] = [48, 8, 5];
const x = random(1).normal(T * D).map((value, at) => value + (at % D === 2 ? 1 : 0));

interface How {
  readonly options?: Record<string, unknown>;
  readonly training?: boolean;
  readonly stream?: number;
  readonly real?: Float32Array;
}

interface Found {
  readonly gate: Float32Array;
  readonly expert: number[];
  readonly wanted: number[];
  readonly weight: number[];
  readonly balance: number;
}

async function route({ options = {}, training = true, stream = 0, real }: How): Promise<Found> {
  using _scope = memory(backend);
  const router = gshard.create({ D, E, V: 1 }, parseOptions(gshard, options), createInit(backend, random(2)));
  const routing = await router.route(tensor(backend, x, [T, D]), {
    training,
    step: 0,
    random: random(stream),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(1, T),
    ...(real ? { real_T: tensor(backend, real, [T]) } : {}),
  });
  const gate = await router.params.gate.read() as Float32Array;
  backend.free(router.params.gate.buffer);
  return {
    gate,
    expert: [...await routing.expert_N.read()],
    wanted: [...await routing.wanted_N.read()],
    weight: [...await routing.weight_N.read()],
    balance: await scalar(routing.losses.balance),
  };
}

interface Algorithm {
  readonly gate: Float32Array;
  readonly groups: number;
  readonly capacity: number | ((real: number) => number);
  /** Whether step 4 draws the second expert of a token. */
  readonly drawn: (token: number) => boolean;
  readonly real?: Float32Array | undefined;
}

/** Algorithm 1 of Lepikhin et al. (2020), group by group; combine weights G as [expert, weight] by choice. */
function algorithm({ gate, groups, capacity, drawn, real }: Algorithm) {
  const expert = new Array<number>(2 * T).fill(-1);
  const weight = new Array<number>(2 * T).fill(0);
  let loss = 0;
  const S = T / groups;
  for (let group = 0; group < groups; group++) {
    const tokens = Array.from({ length: S }, (_, s) => group * S + s).filter((t) => !real || real[t] === 1);
    const g = tokens.map((t) => {
      const power = Array.from({ length: E }, (_, e) => {
        let logit = 0;
        for (let d = 0; d < D; d++) logit += x[t * D + d] * gate[d * E + e];
        return Math.exp(logit);
      });
      const total = power.reduce((sum, value) => sum + value, 0);
      return power.map((value) => value / total);
    });
    const top2 = g.map((row) => row.map((_, e) => e).sort((a, b) => row[b] - row[a] || a - b).slice(0, 2));
    const C = typeof capacity === "number" ? capacity : capacity(tokens.length);
    const c = new Array<number>(E).fill(0);
    tokens.forEach((t, s) => {
      const [e1, e2] = top2[s];
      weight[2 * t] = g[s][e1] / (g[s][e1] + g[s][e2]);
      weight[2 * t + 1] = g[s][e2] / (g[s][e1] + g[s][e2]);
      if (c[e1] < C) expert[2 * t] = e1;
      c[e1]++; // even when full
    });
    for (let e = 0; e < E; e++) {
      const m = g.reduce((sum, row) => sum + row[e], 0) / tokens.length;
      loss += (c[e] / tokens.length) * m / E; // l_aux, after the first pass
    }
    tokens.forEach((t, s) => {
      const [, e2] = top2[s];
      if (!drawn(t)) return;
      if (c[e2] < C) expert[2 * t + 1] = e2;
      c[e2]++;
    });
  }
  return { expert, weight, loss: loss / groups };
}

/** A logit is a sum of 8 products below 8 in all; softmax and division add a few roundings more. */
const TOLERANCE = (D + E + 10) * 2 ** -24 * 8;

const cases: readonly { about: string; how: How; groups?: number; capacity: Algorithm["capacity"] }[] = [
  {
    about: "the default in evaluation, factor 2",
    how: { training: false },
    capacity: Math.ceil(2 * 2 * T / E),
  },
  { about: "factor 1", how: { options: { second: "always" } }, capacity: Math.ceil(2 * T / E) },
  {
    about: "factor 0.4, where most is dropped",
    how: { options: { second: "always", capacityFactor: 0.4 } },
    capacity: Math.ceil(0.4 * 2 * T / E),
  },
  {
    about: "three groups",
    how: { options: { second: "always", groups: 3, capacityFactor: 0.7 } },
    groups: 3,
    capacity: Math.ceil(0.7 * 2 * 16 / E),
  },
  {
    about: "three groups with padding, one of nothing but padding but one",
    how: {
      options: { second: "always", groups: 3, capacityFactor: 0.7 },
      real: Float32Array.from(
        { length: T },
        (_, t) => t < 16 ? t % 4 === 1 ? 0 : 1 : t < 32 ? 1 : t === 40 ? 1 : 0,
      ),
    },
    groups: 3,
    capacity: (real) => Math.ceil(0.7 * 2 * real / E),
  },
  {
    about: "a random second, whichever were drawn",
    how: { options: { capacityFactor: 0.7 } },
    capacity: Math.ceil(0.7 * 2 * T / E),
  },
];

for (const { about, how, groups = 1, capacity } of cases) {
  Deno.test(`gshard equals algorithm 1: ${about}`, async () => {
    const found = await route(how);
    const isRandom = how.training !== false && how.options?.second === undefined;
    const drawn = (t: number) => !isRandom || found.wanted[2 * t + 1] >= 0;
    const want = algorithm({ gate: found.gate, groups, capacity, drawn, real: how.real });
    assertEquals(found.expert, want.expert);
    want.weight.forEach((weight, n) => {
      if (found.wanted[n] >= 0) assertAlmostEquals(found.weight[n], weight, TOLERANCE);
    });
    // In unit scale the loss is E^2 times the paper's, times its weight of 0.01.
    assertAlmostEquals(found.balance, 0.01 * E * E * want.loss, 0.01 * E * TOLERANCE);
    const dropped = found.wanted.filter((e, n) => e >= 0 && found.expert[n] < 0).length;
    if (how.training !== false) assert(dropped > 0, "nothing was dropped: the test shows less than it says");
  });
}

Deno.test("the loss on the paper's scale is 1 / E^2 of the released code's", async () => {
  const unit = await route({ options: { balance: 3 } });
  const paper = await route({ options: { balance: 3, balanceScale: "paper" } });
  assertAlmostEquals(paper.balance, unit.balance / (E * E), 4 * 2 ** -24 * paper.balance);
});

Deno.test("the second expert is drawn with probability min(1, 2 g2) in training, always in evaluation", async () => {
  const streams = 400;
  const kept = new Array<number>(T).fill(0);
  let weight: number[] = [];
  for (let stream = 0; stream < streams; stream++) {
    const found = await route({ options: { capacityRule: "dropless" }, stream });
    weight = found.weight;
    for (let t = 0; t < T; t++) {
      assert(found.wanted[2 * t] >= 0, "a first choice is never left to chance");
      if (found.wanted[2 * t + 1] >= 0) kept[t]++;
    }
  }
  for (let t = 0; t < T; t++) {
    const p = Math.min(1, 2 * weight[2 * t + 1]);
    // A binomial count, five standard deviations either way.
    assert(
      Math.abs(kept[t] - p * streams) <= 5 * Math.sqrt(streams * p * (1 - p)) + 1e-9,
      `${kept[t]}, p ${p}`,
    );
  }
  assert(kept.some((count) => count < streams * 0.6) && kept.some((count) => count > 0));
  assert((await route({ training: false })).wanted.every((e) => e >= 0));
});

Deno.test("gshard refuses one expert and groups that do not divide the tokens", async () => {
  const init = createInit(backend, random(0));
  assertThrows(
    () => gshard.create({ D, E: 1, V: 1 }, parseOptions(gshard), init),
    RangeError,
    "2 experts or more",
  );
  let message = "";
  await route({ options: { groups: 7 } }).catch((error) => message = error.message);
  assertEquals(message, "Cannot route with gshard: groups = 7 does not divide 48 tokens");
});
