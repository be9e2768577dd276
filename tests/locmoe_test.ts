// LocMoE's properties: the gate, the capacity bound, the locality loss, and what one rank or another weight changes.
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { capacityBound, capProbability } from "../routers/parts/capacity_bound.ts";
import {
  chunkMeans,
  cosineToChunks,
  orthogonalGate,
  orthonormalColumns,
} from "../routers/parts/orthogonal_gates.ts";
import { localDistribution, localityLoss } from "../routers/parts/locality.ts";
import { locmoe, type LocmoeOptions } from "../routers/locmoe.ts";
import { parseOptions } from "../routers/registry.ts";
import type { RouteStep } from "../routers/router.ts";
import { layOut, oneRank, type Topology } from "../routers/parts/topology.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { matmul } from "../tensor/products.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import type { Dataset } from "../data/dataset.ts";
import { textData } from "../tasks/text.ts";
import { train } from "../training/train.ts";
import { tinyConfig } from "./run_configs.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

const EPSILON = 2 ** -24;

/** Rows of GrAP's matrix, read off by routing unit vectors. */
async function grapRows(D: number, E: number): Promise<number[][]> {
  using _scope = memory(backend);
  const units = Float32Array.from({ length: D * D }, (_, at) => at % (D + 1) === 0 ? 1 : 0);
  const weight_DE = await chunkMeans(tensor(backend, units, [D, D]), E).read();
  return Array.from({ length: E }, (_, e) => Array.from({ length: D }, (_, d) => weight_DE[d * E + e]));
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, at) => sum + value * b[at], 0);

for (const [D, E] of [[12, 3], [8, 8], [64, 8], [5, 1]]) {
  Deno.test(`GrAP with ${E} experts at width ${D}: equation 4's rows, orthogonal, of norm sqrt(E / D)`, async () => {
    const rows = await grapRows(D, E);
    rows.forEach((row, e) => {
      const want = row.map((_, d) => d >= e * D / E && d < (e + 1) * D / E ? Math.fround(E / D) : 0);
      assertEquals(row, want);
      rows.forEach((other, f) => {
        // Products of D entries, each a rounding off.
        assertAlmostEquals(dot(row, other), e === f ? E / D : 0, (D + 2) * EPSILON * E / D);
      });
    });
  });
}

Deno.test("the learned gate is orthogonal with GrAP's norm whatever its parameter, and has a gradient", async () => {
  using _scope = memory(backend);
  const [D, E] = [24, 6];
  const start = orthonormalColumns(D, E)(random(3), D * E);
  const skewed = random(4).normal(D * E).map((value, at) => value * (1 + at % E) + (at % E === 0 ? 3 : 0));
  for (const [about, values, tolerance] of [["start", start, 1e-6], ["skewed", skewed, 1e-5]] as const) {
    const weight_DE = parameter(backend, values, [D, E]);
    const gate_DE = orthogonalGate(weight_DE);
    const gram = await matmul(gate_DE, gate_DE, { transposeA: true }).read();
    gram.forEach((value, at) => {
      assertAlmostEquals(value, at % (E + 1) === 0 ? E / D : 0, tolerance, `${about}, entry ${at}`);
    });
    const direction = tensor(backend, random(5).normal(D * E), [D * E]);
    const loss = await lossGradient(weight_DE, direction);
    assert(loss.some((value) => Math.abs(value) > 1e-4), about);
    // Only directions matter to the nearest orthogonal matrix: the gradient has nothing along W.
    const along = loss.reduce((sum, value, at) => sum + value * values[at], 0);
    assertAlmostEquals(along, 0, 1e-3, about);
    backend.free(weight_DE.buffer);
  }
});

async function lossGradient(
  weight_DE: ReturnType<typeof parameter>,
  direction: Tensor,
): Promise<Float32Array> {
  const { sumAll } = await import("../tensor/reduce.ts");
  const { multiply } = await import("../tensor/arithmetic.ts");
  const { reshape } = await import("../tensor/tensor.ts");
  const gate = orthogonalGate(weight_DE);
  const [gradient] = await gradients(sumAll(multiply(reshape(gate, direction.shape), direction)), [
    weight_DE,
  ]);
  return await gradient!.read() as Float32Array;
}

Deno.test("the cosine to GrAP's rows equals dot over norms, and squares sum to 1 at most", async () => {
  using _scope = memory(backend);
  const [T, D, E] = [20, 24, 6];
  const x = random(6).normal(T * D).map((value, at) => value * (1 + at % 7));
  x.fill(0, 3 * D, 4 * D);
  const x_TD = tensor(backend, x, [T, D]);
  const cosine = await cosineToChunks(x_TD, E).read();
  const rows = await grapRows(D, E);
  for (let t = 0; t < T; t++) {
    const token = [...x.subarray(t * D, (t + 1) * D)];
    const norm = Math.sqrt(dot(token, token));
    let squares = 0;
    rows.forEach((row, e) => {
      const want = norm === 0 ? 0 : dot(token, row) / (norm * Math.sqrt(dot(row, row)));
      assertAlmostEquals(cosine[t * E + e], want, (2 * D + 8) * EPSILON, `token ${t}, expert ${e}`);
      squares += cosine[t * E + e] ** 2;
    });
    assert(squares <= 1 + 4 * D * EPSILON);
  }
});

/** Simpson's rule on the density of one coordinate of a uniform direction in D dimensions, both caps. */
function capByIntegration(delta: number, D: number): number {
  const density = (x: number) => Math.exp((D - 3) / 2 * Math.log1p(-x * x));
  const integral = (from: number, to: number, steps: number) => {
    let sum = density(from) + density(to);
    for (let at = 1; at < steps; at++) {
      sum += (at % 2 === 1 ? 4 : 2) * density(from + (to - from) * at / steps);
    }
    return sum * (to - from) / steps / 3;
  };
  const end = Math.min(1 - 1e-12, 40 / Math.sqrt(D));
  return integral(delta, end, 200_000) / integral(0, end, 200_000);
}

// n experts, d, delta; p_delta, and the bound in its exact, erfc and exponential forms: worked out apart from this code,
// and rounded once.
const boundTable = [
  [16, 5120, 0.03, "0.0318", "1.965", "1.966", "0.627"],
  [8, 4096, 0.03, "0.0548", "2.279", "2.281", "0.790"],
  [16, 1024, 0.03, "0.337", "0.185", "0.185", "0.099"],
  [16, 5120, 0.05, "3.4e-4", "181.5", "181.9", "37.9"],
  [16, 5120, 0.1, "7.4e-13", "8.5e10", "8.5e10", "9.3e9"],
] as const;

/** As many digits as the printed number has. */
function printedLike(value: number, printed: string): string {
  const [mantissa, exponent] = printed.split("e");
  const digits = mantissa.split(".")[1].length;
  return exponent === undefined ? value.toFixed(digits) : value.toExponential(digits).replace("+", "");
}

for (const [E, D, delta, probability, ...bounds] of boundTable) {
  Deno.test(`capacity bound of ${E} experts at width ${D}, delta ${delta}, to its printed digits`, () => {
    assertEquals(printedLike(capProbability(delta, D), probability), probability);
    const byIntegration = capByIntegration(delta, D);
    assertAlmostEquals(capProbability(delta, D) / byIntegration, 1, 1e-6);
    const found = (["exact", "erfc", "exponential"] as const).map((form) =>
      capacityBound(form, { E, D, delta })
    );
    assertEquals(found.map((value, at) => printedLike(value, bounds[at])), [...bounds]);
    assert(found[2] < found[1], "the exponential form lies below");
  });
}

Deno.test("a cap is everything at cosine 0 and nothing at 1, and refuses what is no cosine", () => {
  assertAlmostEquals(capProbability(0, 10), 1, 1e-12);
  assertEquals(capProbability(1, 10), 0);
  assertAlmostEquals(capProbability(0.5, 3), 0.5, 1e-12, "on the sphere in space, one coordinate is uniform");
  assertThrows(() => capProbability(1.5, 10), RangeError, "cosine 1.5 in 10 dimensions");
  assertThrows(() => capProbability(0.5, 1), RangeError, "in 1 dimensions");
});

interface Setting {
  readonly options?: Partial<LocmoeOptions>;
  readonly x: Float32Array;
  readonly T: number;
  readonly D: number;
  readonly E: number;
  readonly topology?: Topology;
  readonly training?: boolean;
  readonly stream?: number;
}

async function routed({ options = {}, x, T, D, E, topology, training = true, stream = 0 }: Setting) {
  using _scope = memory(backend);
  const router = locmoe.create(
    { D, E, V: 10 },
    parseOptions(locmoe, { capacityRule: "dropless", ...options }),
    createInit(backend, random(1)),
  );
  const step: RouteStep = {
    training,
    step: 0,
    random: random(stream),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(1, T),
    ...(topology ? { topology } : {}),
  };
  const routing = await router.route(tensor(backend, x, [T, D]), step);
  for (const param of Object.values(router.params)) backend.free(param.buffer);
  const losses: Record<string, number> = {};
  for (const [name, loss] of Object.entries(routing.losses)) losses[name] = await scalar(loss);
  return {
    expert: [...await routing.expert_N.read()],
    wanted: [...await routing.wanted_N.read()],
    weight: [...await routing.weight_N.read()],
    losses,
  };
}

Deno.test("experts and weights equal equations 2 to 4 in plain loops", async () => {
  const [T, D, E] = [50, 12, 4];
  const x = random(8).normal(T * D);
  for (const rectify of [true, false]) {
    const { expert, weight, losses } = await routed({ x, T, D, E, options: { rectify, locality: 0 } });
    const count = new Array(E).fill(0);
    const mean = new Array(E).fill(0);
    for (let t = 0; t < T; t++) {
      const means = Array.from(
        { length: E },
        (_, e) => x.subarray(t * D + e * D / E, t * D + (e + 1) * D / E).reduce((a, b) => a + b) * E / D,
      );
      const logits = means.map((value) => rectify ? Math.max(0, value) : value);
      const powers = logits.map(Math.exp);
      const total = powers.reduce((a, b) => a + b);
      const best = means.indexOf(Math.max(...means));
      assertEquals(expert[t], best);
      assertAlmostEquals(weight[t], powers[best] / total, 1e-6);
      count[best]++;
      powers.forEach((power, e) => mean[e] += power / total / T);
    }
    const balance = 0.01 * E * count.reduce((sum, c, e) => sum + c / T * mean[e], 0);
    assertAlmostEquals(losses.balance, balance, 1e-7, "equation 5");
  }
});

Deno.test("tokens with every score rectified to 0 go by score, or evenly at random", async () => {
  const [T, D, E] = [4000, 8, 4];
  const x = random(9).uniform(T * D).map((value) => -value - 0.01);
  const byScore = await routed({ x, T, D, E });
  const best = Array.from({ length: T }, (_, t) => {
    const sums = Array.from({ length: E }, (_, e) => Math.fround(x[t * D + 2 * e] + x[t * D + 2 * e + 1]));
    return sums.indexOf(Math.max(...sums));
  });
  assertEquals(byScore.expert, best);
  assert(byScore.weight.every((weight) => Math.abs(weight - 1 / E) < 1e-6), "softmax of zeros");
  const drawn = await routed({ x, T, D, E, options: { ties: "random" } });
  for (let e = 0; e < E; e++) {
    const share = drawn.expert.filter((expert) => expert === e).length / T;
    // Binomial with p = 1/4: five standard deviations.
    assertAlmostEquals(share, 1 / E, 5 * Math.sqrt(3 / 16 / T));
  }
  assertNotEquals(
    (await routed({ x, T, D, E, options: { ties: "random" }, stream: 1 })).expert,
    drawn.expert,
  );
  const evaluated = (stream: number) =>
    routed({ x, T, D, E, options: { ties: "random" }, stream, training: false });
  assertEquals((await evaluated(1)).expert, (await evaluated(2)).expert);
  // A random draw among equals leaves tokens with one highest score alone.
  const plain = random(10).normal(T * D);
  const [a, b] = [
    await routed({ x: plain, T, D, E }),
    await routed({ x: plain, T, D, E, options: { ties: "random" } }),
  ];
  const positive = Array.from({ length: T }, (_, t) => a.weight[t] > 1 / E + 1e-6);
  a.expert.forEach((expert, t) => positive[t] && assertEquals(b.expert[t], expert));
});

Deno.test("capacity follows the factor, the bound, or the larger, between the minimum and T", async () => {
  const [T, D, E] = [64, 16, 4];
  const x = new Float32Array(T * D).map((_, at) => at % D < D / E ? 1 : 0);
  const kept = async (options: Partial<LocmoeOptions>) =>
    (await routed({ x, T, D, E, options: { capacityRule: "ceil", capacityFactor: 1, ...options } })).expert
      .filter((expert) => expert >= 0).length;
  const bound = (delta: number) => Math.ceil(capacityBound("exact", { E, D, delta }));
  assertEquals(await kept({ capacityFrom: "factor" }), 16);
  assert(bound(0.5) > 1 && bound(0.5) < 16, `${bound(0.5)}`);
  assertEquals(await kept({ capacityFrom: "bound", delta: 0.5 }), bound(0.5));
  assertEquals(await kept({ capacityFrom: "larger", delta: 0.5 }), 16);
  assert(bound(0.62) > 16 && bound(0.62) < T, `${bound(0.62)}`);
  assertEquals(await kept({ capacityFrom: "larger", delta: 0.62 }), bound(0.62));
  assertEquals(await kept({ capacityFrom: "bound", delta: 0.999 }), T);
  assertEquals(await kept({ capacityFrom: "bound", delta: 0.001, minimumCapacity: 3 }), 3);
});

Deno.test("the locality loss is 0 where distributions match, and equals plain loops elsewhere", async () => {
  using _scope = memory(backend);
  const [T, E, eta] = [24, 6, 0.01];
  const topology = layOut({ sequences: equalSequences(T / 4, 4), E, ranks: 3, ranksPerNode: 1 });
  const nodes = Array.from(
    { length: 3 },
    (_, rank) => Array.from(topology.rankOfExpert_E, (home) => home === rank),
  );
  const target = nodes.map((local) => localDistribution(local, eta));
  for (const row of target) assertAlmostEquals(row.reduce((a, b) => a + b), 1, 1e-12);
  const matching = Float32Array.from(
    { length: T * E },
    (_, at) => target[topology.homeRank_T[Math.floor(at / E)]][at % E],
  );
  const terms = { topology, near: "node" as const, smoothing: eta };
  const zero = localityLoss({ probability_TE: tensor(backend, matching, [T, E]), ...terms });
  // Eight tokens a rank: sums a few roundings off, times logarithms below 7.
  assertAlmostEquals(await scalar(zero!), 0, 7 * (8 + E) * EPSILON);

  const raw = random(11).uniform(T * E);
  const rows = Array.from({ length: T }, (_, t) => {
    const row = [...raw.subarray(t * E, (t + 1) * E)];
    const sum = row.reduce((a, b) => a + b);
    return row.map((value) => value / sum);
  });
  const real = Array.from({ length: T }, (_, t) => t % 3 === 0 || t < 16 ? 1 : 0);
  for (const real_T of [undefined, tensor(backend, real, [T])]) {
    const counted = (t: number) => real_T ? real[t] : 1;
    let want = 0;
    for (let rank = 0; rank < 3; rank++) {
      const mine = rows.filter((_, t) => topology.homeRank_T[t] === rank && counted(t));
      for (let e = 0; e < E; e++) {
        const share = mine.reduce((sum, row) => sum + row[e], 0) / mine.length;
        want += share * Math.log(share / target[rank][e]) / 3;
      }
    }
    const loss = localityLoss({ probability_TE: tensor(backend, rows.flat(), [T, E]), ...terms, real_T });
    assertAlmostEquals(await scalar(loss!), want, 1e-5);
    assert(want > 0.1);
  }
});

Deno.test("a rank of padding counts nowhere in the locality loss, and neither does one with nothing to choose", async () => {
  using _scope = memory(backend);
  const [T, E] = [8, 4];
  const topology = layOut({ sequences: equalSequences(T / 2, 2), E, ranks: 4, ranksPerNode: 2 });
  const probability_TE = tensor(backend, new Float32Array(T * E).fill(1 / E), [T, E]);
  const terms = { probability_TE, near: "node" as const, smoothing: 0.01 };
  const whole = await scalar(localityLoss({ ...terms, topology })!);
  const real_T = tensor(backend, [1, 1, 1, 0, 0, 0, 0, 0], [T]);
  assertAlmostEquals(await scalar(localityLoss({ ...terms, topology, real_T })!), whole, 1e-6);
  const nothing = tensor(backend, new Float32Array(T), [T]);
  assertEquals(await scalar(localityLoss({ ...terms, topology, real_T: nothing })!), 0);
  assertEquals(localityLoss({ ...terms, topology: oneRank(T, E) }), null);
  assertEquals(localityLoss({ ...terms, topology: undefined }), null);
  const oneNode = layOut({ sequences: equalSequences(T / 2, 2), E, ranks: 4, ranksPerNode: 4 });
  assertEquals(localityLoss({ ...terms, topology: oneNode }), null);
  assert(localityLoss({ ...terms, topology: oneNode, near: "rank" }) !== null);
});

Deno.test("the gate needs chunks of one length", () => {
  const create = (D: number, E: number, options: Partial<LocmoeOptions> = {}) =>
    locmoe.create({ D, E, V: 4 }, parseOptions(locmoe, options), createInit(backend, random(0)));
  assertThrows(() => create(64, 6), RangeError, "6 experts do not divide width 64");
  assertThrows(
    () => create(4, 8, { gate: "orthogonal" }),
    RangeError,
    "8 rows of width 4 are never orthogonal",
  );
  const { gate } = create(64, 6, { gate: "orthogonal" }).params;
  assertEquals(gate.shape, [64, 6]);
  backend.free(gate.buffer);
});

/** Text of 64 words; with `domains`, each quarter of it uses words of its own. */
function madeUpText(domains: boolean): Dataset {
  const [V, tokens] = [64, 4096];
  const draws = random(5).uniform(2 * tokens);
  const train = Int32Array.from({ length: tokens }, (_, at) => {
    const domain = domains ? Math.floor(at * 4 / tokens) : Math.floor(4 * draws[at]);
    return domain * 16 + Math.floor(16 * draws[tokens + at] ** 2);
  });
  const counts = new Int32Array(V);
  for (const id of train) counts[id]++;
  const nothing = new Int32Array(1024).fill(-1);
  return {
    name: "made up",
    vocabulary: { unit: "words", size: V, words: Array.from(counts.keys(), String), counts, idOf: Number },
    train,
    validation: train.slice(0, 1024),
    partOfSpeech: nothing,
    partsOfSpeech: [],
    genre: nothing,
    genres: [],
    countByToken: counts,
    unigramPerplexity: V,
  };
}

/** Local share over the last ten of forty steps, and the record's rows, of a tiny model. */
async function shareOf(
  setting: { locality: number; seed: number; domains: boolean; ranks?: number },
): Promise<{ share: number; rows: string }> {
  const { locality, seed, domains, ranks = 4 } = setting;
  const config = tinyConfig(locmoe, { locality }, {
    "train.length": 16,
    "train.steps": 40,
    "placement.sharded": domains,
    "placement.ranks": ranks,
    seed,
  });
  using run = await train(config, { backend, data: await textData(madeUpText(domains)) });
  const { record } = run;
  const late = record.steps.slice(-10).flatMap(({ layers }) => layers);
  return {
    share: late.reduce((sum, { localShare }) => sum + (localShare ?? NaN), 0) / late.length,
    rows: JSON.stringify(record.steps.map(({ loss, layers }) => [loss, layers])),
  };
}

Deno.test("where ranks read different text, more tokens stay on their node as mu grows", async () => {
  for (const seed of [0, 1, 2]) {
    const shares: number[] = [];
    for (const locality of [0, 0.1, 1]) shares.push((await shareOf({ locality, seed, domains: true })).share);
    assert(shares[0] < shares[1] && shares[1] < shares[2], `seed ${seed}: ${shares}`);
    assert(shares[2] > 0.9, `seed ${seed}: ${shares}`);
  }
});

Deno.test("where all ranks read the same text, nothing tells where a token is from and the share stays at chance", async () => {
  for (const locality of [0, 1]) {
    const { share } = await shareOf({ locality, seed: 0, domains: false });
    assertAlmostEquals(share, 0.5, 0.05, `mu ${locality}`);
  }
});

Deno.test("on one rank the locality loss changes no decision in all of training", async () => {
  const of = (locality: number) => shareOf({ locality, seed: 0, domains: false, ranks: 1 });
  assertEquals((await of(0)).rows, (await of(1)).rows);
});
