// Tutel's training run of two wide linear layers an expert, from its seeds: what tests hold its published losses to, and
// by how much f32 may miss them.
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { createMoeLayer, type MoeLayer } from "../moe/layer.ts";
import { gshard } from "../routers/gshard.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import { affine, subtract } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit, type Init } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { crossEntropy, meanAll, scalar, sumLast } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { parameter, reshape, type Tensor, tensor } from "../tensor/tensor.ts";
import { type MersenneTwister, normal32, torchSeed, uniform32, uniform64 } from "./mersenne_twister.ts";
import oracle from "./oracles/tutel_training_losses.json" with { type: "json" };

const [D, F, L] = [2048, 2048, 1024];
const RATE = 1e-5;
const EPSILON = 2 ** -24;

type Uniform = (twister: MersenneTwister, count: number, range: readonly [number, number]) => Float32Array;

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c];
  }
  return turned;
}

/** Tutel's initial values: `torch.nn.Linear` draws its weight, out x in, then its bias, within 1 / sqrt(in). */
function initialValues(uniform: Uniform, E: number): Record<string, Float32Array> {
  const values: Record<string, Float32Array> = {
    in: new Float32Array(E * D * F),
    inBias: new Float32Array(E * F),
    out: new Float32Array(E * F * D),
    outBias: new Float32Array(E * D),
  };
  const experts = torchSeed(1);
  for (let e = 0; e < E; e++) {
    for (const [name, from, to] of [["in", D, F], ["out", F, D]] as const) {
      const range = [-1 / Math.sqrt(from), 1 / Math.sqrt(from)] as const;
      values[name].set(transposed(uniform(experts, to * from, range), to, from), e * to * from);
      values[`${name}Bias`].set(uniform(experts, to, range), e * to);
    }
  }
  const range = [-1 / Math.sqrt(D), 1 / Math.sqrt(D)] as const;
  values.gate = transposed(uniform(torchSeed(1), E * D, range), E, D);
  return values;
}

interface Run {
  readonly backend: Backend;
  readonly layer: MoeLayer;
  /** Sums over channels, one row a sequence. */
  logits(): Promise<{ logit_BL: Tensor; expert_N: Tensor }>;
  loss(logit_BL: Tensor): Tensor;
}

/** Builds it with a router of ours. */
export async function createRun(
  B: number,
  uniform: Uniform,
  plugin: AnyRouterPlugin,
  options: Record<string, unknown>,
  E = 2,
): Promise<Run & { close(): void }> {
  const backend = await cpu();
  const values = initialValues(uniform, E);
  const init: Init = {
    ...createInit(backend, random(0)),
    parameter: (name, shape) => parameter(backend, values[name], shape),
  };
  const layer = createMoeLayer({
    D,
    E,
    router: plugin.create({ D, E, V: 1 }, parseOptions(plugin, options), init),
    experts: feedForward.create({ D, F, E }, feedForward.options.parse({ bias: true }), init),
  });
  const T = B * L;
  // A plain tensor, no parameter: no gradient is computed for it.
  const x_TD = tensor(backend, normal32(torchSeed(0), T * D), [T, D]);
  const tokenId_T = tensor(backend, new Int32Array(T), [T]);
  const target_B = tensor(backend, new Int32Array(B), [B]);
  return {
    backend,
    layer,
    async logits() {
      const step = { training: true, step: 0, random: random(0), tokenId_T, sequences: equalSequences(B, L) };
      const { y_TD, routing } = await layer.apply(x_TD, step);
      return { logit_BL: reshape(sumLast(y_TD), [B, L]), expert_N: routing.expert_N };
    },
    loss: (logit_BL) => meanAll(crossEntropy(logit_BL, target_B)),
    close: () => backend.close(),
  };
}

/**
 * What f32 may differ by, from independent roundings: a sum of n terms of about equal size that ends near s has passed
 * through partial sums near s sqrt(i / n), each rounded once, and so is off by about EPSILON s sqrt(n / 2). Bounds are
 * four standard deviations.
 *
 * A logit. Weights are uniform with variance 1 / (3 x 2048) and inputs normal: a hidden unit is near sqrt(1 / 3), after
 * ReLU its mean square is 1 / 6; an output is near sqrt(1 / 18), and a logit, the sum of 2048 of them, near 10.7. The
 * error of a hidden unit reaches an output through half of 2048 weights; those of 2048 outputs add up in a logit.
 */
function logitDeviation(): number {
  const off = (n: number, size: number) => EPSILON * size * Math.sqrt(n / 2);
  const output = Math.sqrt(1 / 18);
  const hidden = off(D, Math.sqrt(1 / 3));
  const each = Math.hypot(hidden * Math.sqrt(1 / 6), off(F, output));
  return Math.hypot(each * Math.sqrt(D), off(D, output * Math.sqrt(D)));
}

/**
 * Weights after some steps. A gradient is three such sums in a row, so a way of so many nats downhill is off by its
 * share of them. Each step also rounds every weight, at most 1 / sqrt(2048) in size: over 2048^2 weights of a layer of
 * each half of the hidden units, and steps, these errors are independent, and arrive in a logit times a hidden unit.
 */
function driftDeviation(steps: number, nats: number): number {
  const gradient = EPSILON * Math.sqrt(D / 2) * Math.sqrt(3) * nats;
  const rounding = EPSILON / Math.sqrt(D) / Math.sqrt(3) * Math.sqrt(steps * D * F) * Math.sqrt(1 / 6);
  return gradient + 2 * rounding;
}

/**
 * A loss is log sum exp of the logits less the first: both are stored in f32, and an error of logits moves it by at
 * most 2 (1 - p) times as much, where p = exp(-loss) is the probability of the target. The last term is what plain f64
 * arithmetic leaves of Tutel's numbers: its inputs come from a vectorised logarithm and cosine.
 */
export function tolerance(step: number, loss: number, first: number, largestLogit: number): number {
  const deviation = Math.hypot(Math.SQRT2 * logitDeviation(), driftDeviation(step, first - loss));
  return (1 - Math.exp(-loss)) * 4 * deviation + 2 * EPSILON * largestLogit + 6e-7;
}

/** Trains top-2 of two experts as Tutel did in f64, and holds that many of its hundred losses. */
export async function holdLosses(steps: number): Promise<void> {
  const { losses } = oracle.configs.find(({ dtype, top }) => dtype === "float64" && top === 2)!;
  assertEquals(losses.length, 100);
  const run = await createRun(1, uniform64, gshard, {
    capacityRule: "dropless",
    second: "always",
    balance: 0,
  });
  const params = Object.values(run.layer.params);
  for (const [step, want] of losses.slice(0, steps).entries()) {
    using _scope = memory(run.backend);
    const { logit_BL } = await run.logits();
    const loss = run.loss(logit_BL);
    const found = await gradients(loss, params);
    params.forEach((param, at) => param.assign(subtract(param, affine(found[at]!, RATE, 0))));
    const largest = Math.max(...(await logit_BL.read()).map(Math.abs));
    const limit = tolerance(step, want, losses[0], largest);
    assertAlmostEquals(await scalar(loss), want, limit, `step ${step}`);
  }
  run.close();
}

/** As PyTorch draws uniform numbers within a range in f32. */
export const uniformWithin32: Uniform = (twister, count, [low, high]) =>
  uniform32(twister, count).map((value) => value * (high - low) + low);
