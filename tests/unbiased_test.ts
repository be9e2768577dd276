// Skip and Gumbel-Matching, measured: over 200 000 samples of a small problem, drawn by the routers themselves, the mean of
// the weighted estimators meets the enumerated gradient, that of the unweighted ones does not, and skip varies less.
import { assert, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import { gumbelMatching } from "../routers/gumbel_matching.ts";
import { skip } from "../routers/skip.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";

const backend = await cpu({ threads: 2 });
addEventListener("unload", () => backend.close());

const D = 4;
const E = 3;
const V = 3;
/** Copies of the problem in a batch: groups that are balanced by themselves. */
const COPIES = 1000;
const BATCHES = 200;
const SAMPLES = COPIES * BATCHES;

/**
 * n tokens with inputs x and a gate: p = softmax(x gate). Token i has loss f_ij under expert j, and expert j one parameter
 * phi_j = 1 that scales it, so that J = 1/n sum_ij p_ij phi_j f_ij has a gradient for the gate and one for the experts.
 */
interface Problem {
  readonly n: number;
  readonly x: Float32Array;
  readonly gate: Float32Array;
  readonly f: Float32Array;
}

function problemOf(n: number, seed: number): Problem {
  const stream = random(seed).split("problem");
  return {
    n,
    x: stream.split("x").normal(n * D),
    gate: stream.split("gate").normal(D * E).map((value) => 0.9 * value),
    f: stream.split("f").normal(n * E).map((value) => 1 + value),
  };
}

function probabilities({ n, x, gate }: Problem): Float64Array {
  const p = new Float64Array(n * E);
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < E; j++) {
      let logit = 0;
      for (let d = 0; d < D; d++) logit += x[i * D + d] * gate[d * E + j];
      sum += p[i * E + j] = Math.exp(logit);
    }
    for (let j = 0; j < E; j++) p[i * E + j] /= sum;
  }
  return p;
}

/** The gradient of J, all terms of the expectation summed: gate [D, E], then experts [E]. */
function trueGradient(problem: Problem): Float64Array {
  const { n, x, f } = problem;
  const p = probabilities(problem);
  const gradient = new Float64Array(D * E + E);
  for (let i = 0; i < n; i++) {
    let mean = 0;
    for (let j = 0; j < E; j++) mean += p[i * E + j] * f[i * E + j];
    for (let j = 0; j < E; j++) {
      const toLogit = p[i * E + j] * (f[i * E + j] - mean) / n;
      for (let d = 0; d < D; d++) gradient[d * E + j] += x[i * D + d] * toLogit;
      gradient[D * E + j] += p[i * E + j] * f[i * E + j] / n;
    }
  }
  return gradient;
}

/** Means and variances of a vector, sample by sample. */
class Moments {
  readonly sum = new Float64Array(D * E + E);
  readonly squares = new Float64Array(D * E + E);
  add(sample: Float64Array): void {
    for (let at = 0; at < sample.length; at++) {
      this.sum[at] += sample[at];
      this.squares[at] += sample[at] * sample[at];
    }
  }
  variance(at: number): number {
    return this.squares[at] / SAMPLES - (this.sum[at] / SAMPLES) ** 2;
  }
  /** Sum of the variances of the gate's gradient. */
  total(): number {
    let total = 0;
    for (let at = 0; at < D * E; at++) total += this.variance(at);
    return total;
  }
  /** Largest distance from `truth` in standard errors. */
  z(truth: Float64Array): number {
    const each = truth.map((value, at) =>
      Math.abs(this.sum[at] / SAMPLES - value) / Math.sqrt(this.variance(at) / SAMPLES)
    );
    return Math.max(...each);
  }
}

interface Measured {
  readonly weighted: Moments;
  readonly unweighted: Moments;
  readonly truth: Float64Array;
}

/** Lets a router draw, and forms both estimators from its experts, importance weights and baseline. */
async function measure(plugin: AnyRouterPlugin, given: Record<string, unknown>, n: number, seed: number) {
  const problem = problemOf(n, seed);
  const options = parseOptions(plugin, { ...given, groups: COPIES });
  const router = plugin.create({ D, E, V }, options, createInit(backend, random(0)));
  router.params.gate.assign(tensor(backend, problem.gate, [D, E]));
  const T = n * COPIES;
  const copies = Float32Array.from({ length: T * D }, (_, at) => problem.x[at % (n * D)]);
  const p = probabilities(problem);
  const measured: Measured = {
    weighted: new Moments(),
    unweighted: new Moments(),
    truth: trueGradient(problem),
  };
  const draws = random(seed).split("draws");
  const id = new Int32Array(T);
  for (let step = 0; step < BATCHES; step++) {
    using _scope = memory(backend);
    const x_TD = tensor(backend, copies, [T, D]);
    const tokenId_T = tensor(backend, id, [T]);
    const routing = await router.route(x_TD, {
      training: true,
      step,
      random: draws.split(step),
      tokenId_T,
      sequences: equalSequences(1, n),
    });
    const { estimator } = routing;
    assert(estimator, "it has an estimator");
    const expert = await routing.expert_N.read();
    const weight = await estimator.importance_T.read();
    let loss = 0;
    let total = 0;
    for (let copy = 0; copy < COPIES; copy++) {
      const [sampled, plain] = [new Float64Array(D * E + E), new Float64Array(D * E + E)];
      for (let i = 0; i < n; i++) {
        const t = copy * n + i;
        const z = expert[t];
        if (z < 0) {
          assertEquals(weight[t], 0);
          continue;
        }
        const f = problem.f[i * E + z];
        loss += weight[t] * f;
        total += weight[t];
        for (const [gradient, w] of [[sampled, weight[t]], [plain, 1]] as const) {
          gradient[D * E + z] += w * f / n;
          for (let j = 0; j < E; j++) {
            const toLogit = w * (f - estimator.baseline) * (Number(j === z) - p[i * E + j]) / n;
            for (let d = 0; d < D; d++) gradient[d * E + j] += problem.x[i * D + d] * toLogit;
          }
        }
      }
      measured.weighted.add(sampled);
      measured.unweighted.add(plain);
    }
    // As the trainer does: what later steps subtract.
    estimator.observeLoss?.(loss / total);
  }
  backend.free(router.params.gate.buffer);
  return measured;
}

interface Setting {
  readonly about: string;
  readonly plugin: AnyRouterPlugin;
  readonly options: Record<string, unknown>;
  readonly n: number;
  readonly seeds: readonly number[];
}

const settings: readonly Setting[] = [
  { about: "skip", plugin: skip, options: {}, n: 6, seeds: [0, 1, 2] },
  { about: "skip, half the capacity", plugin: skip, options: { capacityFactor: 0.5 }, n: 6, seeds: [3] },
  { about: "gumbel-matching", plugin: gumbelMatching, options: {}, n: 6, seeds: [0, 1, 2] },
  {
    // Where experts divide tokens, the proposal changes nothing (sampled_routers_test.ts).
    about: "gumbel-matching from Sinkhorn's proposal, 7 tokens on 3 experts",
    plugin: gumbelMatching,
    options: { proposal: "sinkhorn" },
    n: 7,
    seeds: [4],
  },
  {
    about: "gumbel-matching, 7 tokens on 3 experts, no baseline",
    plugin: gumbelMatching,
    options: { baseline: "none" },
    n: 7,
    seeds: [3],
  },
];

const variances = new Map<string, number>();

for (const { about, plugin, options, n, seeds } of settings) {
  for (const seed of seeds) {
    Deno.test(`${about}, seed ${seed}: unbiased with weights, biased without`, async () => {
      const { weighted, unweighted, truth } = await measure(plugin, options, n, seed);
      variances.set(`${about} ${seed}`, weighted.total());
      const [z, without] = [weighted.z(truth), unweighted.z(truth)];
      console.log(
        `${about}, seed ${seed}: z ${z.toFixed(2)}, unweighted z ${without.toFixed(0)}, ` +
          `variance ${weighted.total().toFixed(4)}, unweighted ${unweighted.total().toFixed(4)}`,
      );
      assert(z < 4, `the weighted estimator is ${z} standard errors off`);
      assert(without > 10, `the unweighted estimator is only ${without} standard errors off`);
    });
  }
}

Deno.test("skip varies less than Gumbel-Matching", () => {
  for (const seed of [0, 1, 2]) {
    const [ofSkip, ofMatching] = [`skip ${seed}`, `gumbel-matching ${seed}`].map((name) =>
      variances.get(name)
    );
    assert(ofSkip !== undefined && ofMatching !== undefined, "both were measured");
    assert(ofSkip < ofMatching, `seed ${seed}: ${ofSkip} and ${ofMatching}`);
  }
});
