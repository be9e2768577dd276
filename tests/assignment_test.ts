// Balanced assignment against independent exact solvers, its conditionals against enumeration, and what Sinkhorn's
// balancing and Gumbel noise promise.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { linearSumAssignment } from "linear-sum-assignment";
import { cpu } from "../cpu/backend.ts";
import {
  assignBalanced,
  balanceBySinkhorn,
  gumbelNoise,
  logSoftmax,
  matchBalanced,
  matchingImportance,
} from "../routers/parts/assignment.ts";
import { memory } from "../tensor/memory.ts";
import { type Random, random } from "../tensor/random.ts";
import { tensor } from "../tensor/tensor.ts";

const backend = await cpu({ threads: 2 });
addEventListener("unload", () => backend.close());

const matrix = (values: ArrayLike<number>, T: number, E: number) =>
  tensor(backend, Float32Array.from(values), [T, E]);

/** A whole number from `low` to `high`. */
function between(stream: Random, name: string, low: number, high: number): number {
  return low + Math.floor(stream.split(name).uniform(1)[0] * (high - low + 1));
}

async function assign(score: ArrayLike<number>, T: number, E: number): Promise<Int32Array> {
  using _scope = memory(backend);
  return await (await assignBalanced(matrix(score, T, E), { scope: T })).read() as Int32Array;
}

function loads(expert: Iterable<number>, E: number): number[] {
  const count = new Array<number>(E).fill(0);
  for (const e of expert) if (e >= 0) count[e]++;
  return count;
}

function total(score: ArrayLike<number>, expert: ArrayLike<number>, E: number): number {
  let sum = 0;
  for (let t = 0; t < expert.length; t++) sum += score[t * E + expert[t]];
  return sum;
}

/** Every assignment whose loads differ by one at most, experts in rising order, lowest first. */
function* balanced(T: number, E: number): Generator<number[]> {
  const [fewest, most] = [Math.floor(T / E), Math.ceil(T / E)];
  const expert: number[] = [];
  const load = new Array<number>(E).fill(0);
  function* place(): Generator<number[]> {
    if (expert.length === T) {
      if (load.every((count) => count >= fewest)) yield expert;
      return;
    }
    for (let e = 0; e < E; e++) {
      if (load[e] === most) continue;
      load[e]++;
      expert.push(e);
      yield* place();
      expert.pop();
      load[e]--;
    }
  }
  yield* place();
}

Deno.test("the optimum is that of a solver for dense assignment problems", async () => {
  for (let at = 0; at < 60; at++) {
    const stream = random(at).split("dense");
    const E = between(stream, "E", 1, 12);
    const C = between(stream, "C", 1, 12);
    const T = C * E;
    const skew = stream.split("skew").normal(E);
    const score = stream.split("score").normal(T * E).map((value, i) => value + 2 * skew[i % E]);
    const expert = await assign(score, T, E);
    assertEquals(loads(expert, E), new Array(E).fill(C));
    // Each expert's column C times over.
    const rows = Array.from(
      { length: T },
      (_, t) => Array.from({ length: T }, (_, c) => score[t * E + c % E]),
    );
    const { rowAssignments } = linearSumAssignment(rows, { maximaze: true });
    const want = total(score, Array.from(rowAssignments, (column) => column % E), E);
    assertAlmostEquals(total(score, expert, E), want, 1e-9 * T, `${T} tokens on ${E} experts`);
  }
});

Deno.test("ties have one answer: of the best assignments, the first in order of tokens and experts", async () => {
  let tied = 0;
  for (let at = 0; at < 400; at++) {
    const stream = random(at).split("ties");
    const [T, E] = [between(stream, "T", 1, 7), between(stream, "E", 1, 4)];
    const levels = between(stream, "levels", 1, 4);
    const score = stream.split("score").uniform(T * E).map((u) => Math.floor(u * levels));
    let best = -Infinity;
    let wins = 0;
    let want: number[] = [];
    for (const expert of balanced(T, E)) {
      const sum = total(score, expert, E);
      if (sum === best) wins++;
      if (sum <= best) continue;
      [best, wins, want] = [sum, 1, [...expert]];
    }
    tied += Number(wins > 1);
    assertEquals([...await assign(score, T, E)], want, `${T} tokens on ${E} experts: ${score}`);
  }
  assert(tied > 200, `only ${tied} cases had ties`);
});

Deno.test("loads differ by one at most, whatever the scores", async () => {
  const scores: Record<string, (u: number, n: number, e: number) => number> = {
    "all equal": () => 1,
    "one expert wanted by all": (u, _, e) => u + (e === 2 ? 100 : 0),
    "huge": (_, n) => 1e30 * n,
    "infinite": (u, n) => u < 0.3 ? -Infinity : u < 0.4 ? Infinity : n,
    "not numbers": (u, n) => u < 0.5 ? NaN : n,
  };
  for (const [about, of] of Object.entries(scores)) {
    for (const [T, E] of [[64, 8], [67, 8], [5, 8], [1, 3], [40, 1], [300, 64]]) {
      const [u, n] = [random(1).uniform(T * E), random(2).normal(T * E)];
      const expert = await assign(u.map((value, at) => of(value, n[at], at % E)), T, E);
      const load = loads(expert, E);
      assert(Math.max(...load) - Math.min(...load) <= 1, `${about}, ${T} tokens on ${E} experts: ${load}`);
      assertEquals(load.reduce((sum, count) => sum + count), T);
    }
  }
  // A finite choice is never given up for NaN or -infinity where all can have one.
  const score = [NaN, 0, 0, -Infinity, NaN, -5, -7, NaN];
  assertEquals([...await assign(score, 4, 2)], [1, 0, 1, 0]);
});

Deno.test("scopes and padding are balanced apart", async () => {
  using _scope = memory(backend);
  const [T, E, scope] = [60, 4, 20];
  const score = random(3).normal(T * E);
  const real = random(4).uniform(T).map((u) => Number(u < 0.7));
  const expert_T = await assignBalanced(matrix(score, T, E), { scope, real_T: tensor(backend, real, [T]) });
  const expert = await expert_T.read();
  for (let from = 0; from < T; from += scope) {
    const tokens = Array.from({ length: scope }, (_, at) => from + at).filter((t) => real[t] === 1);
    const alone = await assign(
      tokens.flatMap((t) => [...score.subarray(t * E, t * E + E)]),
      tokens.length,
      E,
    );
    assertEquals(tokens.map((t) => expert[t]), [...alone]);
  }
  assertEquals([...expert].filter((e, t) => (e === -1) !== (real[t] === 0)), []);
});

Deno.test("importance weights equal those of enumerated conditionals", async () => {
  let uneven = 0;
  for (let at = 0; at < 400; at++) {
    using _scope = memory(backend);
    const stream = random(at).split("conditional");
    const [T, E] = [between(stream, "T", 1, 7), between(stream, "E", 1, 4)];
    uneven += Number(T % E !== 0);
    const logits = (name: string) =>
      logSoftmax(matrix(stream.split(name).normal(T * E).map((v) => 1.5 * v), T, E));
    const logProbability_TE = logits("router");
    const logProposal_TE = at % 2 === 0 ? logProbability_TE : logits("proposal");
    const proposal = await logProposal_TE.read();
    const probability = await logProbability_TE.read();
    const noise = await gumbelNoise(logProposal_TE, stream).read();
    const score = Float32Array.from(proposal, (value, i) => value + noise[i]);
    const { expert_T, gain_TE } = await matchBalanced(matrix(score, T, E), { scope: T });
    const expert = await expert_T.read();
    const matching = { expert_T, gain_TE, logProposal_TE, logProbability_TE };
    const weight = await matchingImportance(matching).read();

    // v[i, j]: best total of the others when token i is with expert j.
    const v = new Float64Array(T * E).fill(-Infinity);
    for (const other of balanced(T, E)) {
      const sum = total(score, other, E);
      other.forEach((j, i) => v[i * E + j] = Math.max(v[i * E + j], sum - score[i * E + j]));
    }
    for (let i = 0; i < T; i++) {
      const z = i * E + expert[i];
      let normaliser = 0;
      for (let j = 0; j < E; j++) normaliser += Math.exp(proposal[i * E + j] + v[i * E + j] - v[z]);
      const q = Math.exp(proposal[z]) / normaliser;
      const want = Math.exp(probability[z]) / q;
      // Logarithms of size 20 in f32, a dozen roundings: 1e-5 of the weight.
      assertAlmostEquals(weight[i], want, 1e-5 * want, `case ${at}, token ${i} of ${T} on ${E}`);
    }
  }
  assert(uneven > 100, `only ${uneven} cases had tokens that experts do not divide`);
});

Deno.test("Sinkhorn's plan has rows of sum 1 and columns of equal sums, and leaves padding out", async () => {
  using _scope = memory(backend);
  const [T, E, scope] = [48, 5, 24];
  const logit_TE = matrix(random(5).normal(T * E).map((value, at) => 2 * value + 30 * (at % E)), T, E);
  const real = Float32Array.from({ length: T }, (_, t) => Number(t % 6 !== 5));
  const real_T = tensor(backend, real, [T]);
  const plan = await balanceBySinkhorn(logit_TE, { scope, real_T, iterations: 200 }).read();
  for (let from = 0; from < T; from += scope) {
    const columns = new Float64Array(E);
    for (let t = from; t < from + scope; t++) {
      let row = 0;
      for (let e = 0; e < E; e++) {
        row += Math.exp(plan[t * E + e]);
        columns[e] += real[t] * Math.exp(plan[t * E + e]);
      }
      assertAlmostEquals(row, 1, 1e-5);
    }
    for (const column of columns) assertAlmostEquals(column, 20 / E, 1e-4);
  }
});

Deno.test("Sinkhorn's balancing is the scaling of rows and columns of released code, in logarithms", async () => {
  using _scope = memory(backend);
  const [T, E] = [40, 6];
  const logit = random(6).normal(T * E);
  const plan = await balanceBySinkhorn(matrix(logit, T, E), { scope: T, iterations: 300 }).read();
  // K = exp(logits); d0 = (1 / T) / (K d1), d1 = (1 / E) / (K^T d0) until it stands still.
  const K = Float64Array.from(logit, Math.exp);
  const [d0, d1] = [new Float64Array(T), new Float64Array(E).fill(1)];
  for (let round = 0; round < 300; round++) {
    for (let t = 0; t < T; t++) d0[t] = 1 / T / d1.reduce((sum, d, e) => sum + d * K[t * E + e], 0);
    for (let e = 0; e < E; e++) d1[e] = 1 / E / d0.reduce((sum, d, t) => sum + d * K[t * E + e], 0);
  }
  plan.forEach((value, at) =>
    assertAlmostEquals(Math.exp(value) / T, d1[at % E] * K[at] * d0[Math.floor(at / E)], 1e-6)
  );
});

Deno.test("Gumbel noise is finite and has the mean, variance and tail of its distribution", async () => {
  using _scope = memory(backend);
  const count = 1 << 20;
  const noise = Float64Array.from(
    await gumbelNoise(tensor(backend, new Float32Array(count), [count]), random(7)).read(),
  );
  assert(noise.every(Number.isFinite));
  const mean = noise.reduce((sum, value) => sum + value, 0) / count;
  const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
  const tail = noise.filter((value) => value > 3).length / count;
  const error = 1 / Math.sqrt(count);
  // Five standard errors; the fourth central moment is 5.4 variances squared.
  assertAlmostEquals(mean, 0.5772156649, 5 * error * Math.PI / Math.sqrt(6));
  assertAlmostEquals(variance, Math.PI ** 2 / 6, 5 * error * Math.sqrt(4.4) * Math.PI ** 2 / 6);
  const above3 = 1 - Math.exp(-Math.exp(-3));
  assertAlmostEquals(tail, above3, 5 * error * Math.sqrt(above3));
});
