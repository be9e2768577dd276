// Router losses: against the numbers of Hugging Face's Switch router test, against plain loops for every convention, and
// what padding and gradients do.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { type BalanceCounts, balanceLoss, zLoss } from "../routers/parts/losses.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { matmul } from "../tensor/products.ts";
import { random } from "../tensor/random.ts";
import { scalar, softmax } from "../tensor/reduce.ts";
import { topK } from "../tensor/rows.ts";
import { type Parameter, parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import oracle from "./oracles/switch_router.json" with { type: "json" };

const backend = await cpu({ threads: 1 });
const f32 = (rows: readonly (readonly number[])[]) =>
  tensor(backend, rows.flat(), [rows.length, rows[0].length]);
const i32 = (rows: readonly (readonly number[])[]) =>
  tensor(backend, Int32Array.from(rows.flat()), [rows.length, rows[0].length]);

Deno.test("balance loss of Hugging Face's test", async () => {
  using _scope = memory(backend);
  const { probability_TE, expert_T, expected, tolerance } = oracle.balanceLoss;
  const loss = balanceLoss({
    probability_TE: f32(probability_TE),
    wanted_TK: i32(expert_T.map((e) => [e])),
    counts: "first",
    scope: expert_T.length,
  });
  assertAlmostEquals(await scalar(loss), expected, tolerance);
});

Deno.test("z-loss of Hugging Face's test", async () => {
  using _scope = memory(backend);
  const { logit_TE, expected, tolerance } = oracle.zLoss;
  // Two groups of equal size: the mean of their means is the mean over all.
  assertAlmostEquals(await scalar(zLoss(f32(logit_TE))), expected, tolerance);
});

Deno.test("both losses of Hugging Face's router, from tokens and gate, in two groups", async () => {
  using _scope = memory(backend);
  const { x_TD, gate_DE, expectedBalanceLoss, expectedZLoss, tolerance } = oracle.router;
  const logit_TE = matmul(f32(x_TD), f32(gate_DE));
  const probability_TE = softmax(logit_TE);
  const wanted_TK = topK(probability_TE, 1).index_TK;
  const grouped = balanceLoss({ probability_TE, wanted_TK, counts: "first", scope: 3 });
  assertAlmostEquals(await scalar(grouped), expectedBalanceLoss, tolerance);
  assertAlmostEquals(await scalar(zLoss(logit_TE)), expectedZLoss, tolerance);
});

/** Terms of one loss on the host. */
interface Batch {
  readonly T: number;
  readonly E: number;
  readonly K: number;
  readonly logit: Float32Array;
  readonly real?: Float32Array;
}

function batchOf(T: number, E: number, K: number, real?: (t: number) => boolean): Batch {
  const logit = random(5).split("logit").normal(T * E).map((v, at) => v + (at % E === 1 ? 1 : 0));
  return {
    T,
    E,
    K,
    logit,
    ...(real ? { real: Float32Array.from({ length: T }, (_, t) => real(t) ? 1 : 0) } : {}),
  };
}

/** Softmax and choices in f64, in plain loops. */
function scored({ T, E, K, logit, real }: Batch): { probability: number[][]; wanted: number[][] } {
  const probability: number[][] = [];
  const wanted: number[][] = [];
  for (let t = 0; t < T; t++) {
    const row = [...logit.subarray(t * E, (t + 1) * E)];
    const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
    probability.push(row.map((value) => Math.exp(value) / total));
    const order = row.map((_, e) => e).sort((a, b) => row[b] - row[a] || a - b);
    wanted.push(order.slice(0, K).map((e) => real && real[t] === 0 ? -1 : e));
  }
  return { probability, wanted };
}

function balanceByLoops(batch: Batch, counts: BalanceCounts, scope: number): number {
  const { T, E, K, real } = batch;
  const { probability, wanted } = scored(batch);
  let [total, scopes] = [0, 0];
  for (let start = 0; start < T; start += scope) {
    const tokens = Array.from({ length: scope }, (_, at) => start + at).filter((t) => !real || real[t] === 1);
    let sum = 0;
    for (let e = 0; e < E; e++) {
      let chosen = 0;
      let mean = 0;
      for (const t of tokens) {
        mean += probability[t][e] / tokens.length;
        for (let k = 0; k < (counts === "first" ? 1 : K); k++) chosen += wanted[t][k] === e ? 1 : 0;
      }
      if (tokens.length > 0) sum += (chosen / tokens.length) * mean;
    }
    total += E * sum / (counts === "all-mean" ? K : 1);
    if (tokens.length > 0) scopes++;
  }
  return total / Math.max(1, scopes);
}

function zByLoops({ T, E, logit, real }: Batch): number {
  let sum = 0;
  let tokens = 0;
  for (let t = 0; t < T; t++) {
    if (real && real[t] === 0) continue;
    let total = 0;
    for (let e = 0; e < E; e++) total += Math.exp(logit[t * E + e]);
    sum += Math.log(total) ** 2;
    tokens++;
  }
  return tokens === 0 ? 0 : sum / tokens;
}

function termsOf({ T, E, K, logit, real }: Batch, counts: BalanceCounts, scope: number, logit_TE?: Tensor) {
  const probability_TE = softmax(logit_TE ?? tensor(backend, logit, [T, E]));
  const { wanted } = scored({ T, E, K, logit, ...(real ? { real } : {}) });
  return {
    probability_TE,
    wanted_TK: i32(wanted),
    counts,
    scope,
    real_T: real ? tensor(backend, real, [T]) : undefined,
  };
}

/** All terms are positive: every one carries about T + E + 4 roundings, and a sum of such no more relative to itself. */
const roundings = ({ T, E }: Batch) => (T + E + 4) * 2 ** -24;

const batches: readonly (readonly [string, Batch, number])[] = [
  ["one scope", batchOf(24, 6, 2), 24],
  ["three scopes", batchOf(24, 6, 2), 8],
  ["three choices", batchOf(24, 6, 3), 12],
  ["one choice", batchOf(24, 6, 1), 24],
  ["a third padding", batchOf(24, 6, 2, (t) => t % 3 !== 1), 24],
  ["padding in scopes, one of nothing else", batchOf(24, 6, 2, (t) => t < 8 || t === 20), 8],
  ["nothing but padding", batchOf(24, 6, 2, () => false), 12],
];

for (const [about, batch, scope] of batches) {
  for (const counts of ["first", "all", "all-mean"] as const) {
    Deno.test(`balance loss counting ${counts} equals plain loops: ${about}`, async () => {
      using _scope = memory(backend);
      const want = balanceByLoops(batch, counts, scope);
      const found = await scalar(balanceLoss(termsOf(batch, counts, scope)));
      assertAlmostEquals(found, want, roundings(batch) * Math.abs(want));
    });
  }
  Deno.test(`z-loss equals plain loops: ${about}`, async () => {
    using _scope = memory(backend);
    const real_T = batch.real ? tensor(backend, batch.real, [batch.T]) : undefined;
    const want = zByLoops(batch);
    const found = await scalar(zLoss(tensor(backend, batch.logit, [batch.T, batch.E]), real_T));
    // Squaring doubles an error, and a logarithm near 0 keeps the error of its argument, which is 1 in size.
    assertAlmostEquals(found, want, 2 * roundings(batch) * (Math.abs(want) + 1));
  });
}

Deno.test("a balanced router reads 1, K and 1", async () => {
  using _scope = memory(backend);
  // Four tokens, four experts, two choices: every expert chosen first once and second once, probabilities uniform.
  const terms = (counts: BalanceCounts) => ({
    probability_TE: f32(Array.from({ length: 4 }, () => [0.25, 0.25, 0.25, 0.25])),
    wanted_TK: i32([[0, 1], [1, 2], [2, 3], [3, 0]]),
    counts,
    scope: 4,
  });
  assertEquals(await scalar(balanceLoss(terms("first"))), 1);
  assertEquals(await scalar(balanceLoss(terms("all"))), 2);
  assertEquals(await scalar(balanceLoss(terms("all-mean"))), 1);
});

Deno.test("a router that sends everything to one expert reads E", async () => {
  using _scope = memory(backend);
  const loss = balanceLoss({
    probability_TE: f32([[0, 1, 0], [0, 1, 0]]),
    wanted_TK: i32([[1], [1]]),
    counts: "first",
    scope: 2,
  });
  assertEquals(await scalar(loss), 3);
});

Deno.test("the mean over scopes is not the loss of the whole batch", async () => {
  using _scope = memory(backend);
  // Each scope sends all to an expert of its own: unbalanced within, balanced together.
  const terms = (scope: number) => ({
    probability_TE: f32([[1, 0], [1, 0], [0, 1], [0, 1]]),
    wanted_TK: i32([[0], [0], [1], [1]]),
    counts: "first" as const,
    scope,
  });
  assertEquals(await scalar(balanceLoss(terms(2))), 2);
  assertEquals(await scalar(balanceLoss(terms(4))), 1);
});

/** d loss / d logit by central differences of a loss in f64. */
function slopes(batch: Batch, loss: (batch: Batch) => number): number[] {
  const step = 1e-3;
  return Array.from(batch.logit, (value, at) => {
    const shifted = (by: number) => {
      const logit = Float64Array.from(batch.logit);
      logit[at] = value + by;
      return loss({ ...batch, logit: logit as unknown as Float32Array });
    };
    return (shifted(step) - shifted(-step)) / (2 * step);
  });
}

async function gradientOf(batch: Batch, loss: (logit_TE: Parameter) => Tensor): Promise<number[]> {
  const logit_TE = parameter(backend, batch.logit, [batch.T, batch.E]);
  try {
    const [gradient] = await gradients(loss(logit_TE), [logit_TE]);
    return [...await gradient!.read()];
  } finally {
    backend.free(logit_TE.buffer);
  }
}

for (const [about, batch, scope] of batches.slice(0, 6)) {
  Deno.test(`gradients of both losses, counts held fixed, equal finite differences: ${about}`, async () => {
    using _scope = memory(backend);
    // Central differences in f64 with steps of 1e-3 err by about a sixth of step^2 times a third derivative below 10;
    // gradients are means of T terms below E in size.
    const tolerance = 2e-6 + roundings(batch) * batch.E;
    const { wanted } = scored(batch);
    for (const counts of ["first", "all"] as const) {
      const found = await gradientOf(
        batch,
        (logit_TE) => balanceLoss(termsOf(batch, counts, scope, logit_TE)),
      );
      const want = slopes(batch, (moved) => {
        // A step of 1e-3 changes no choice here, so that the loops' own counts stay what they are.
        assertEquals(scored(moved).wanted, wanted);
        return balanceByLoops(moved, counts, scope);
      });
      found.forEach((value, at) => assertAlmostEquals(value, want[at], tolerance, `${counts}, logit ${at}`));
      assert(
        found.some((value) => Math.abs(value) > 10 * tolerance),
        "the gradient is lost in its tolerance",
      );
    }
    const real_T = batch.real ? tensor(backend, batch.real, [batch.T]) : undefined;
    const found = await gradientOf(batch, (logit_TE) => zLoss(logit_TE, real_T));
    const want = slopes(batch, zByLoops);
    found.forEach((value, at) => assertAlmostEquals(value, want[at], tolerance, `z, logit ${at}`));
    if (batch.real) {
      found.forEach((value, at) => batch.real![Math.floor(at / batch.E)] || assertEquals(value, 0));
    }
  });
}
