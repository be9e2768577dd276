// The contract suite against routers with one fault each: a suite that lets a fault pass would prove nothing.
import { assert, assertEquals } from "@std/assert";
import * as z from "zod";
import * as kernels from "../kernels/mod.ts";
import { maskExperts } from "../routers/parts/capacity.ts";
import { gshard } from "../routers/gshard.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import type { Router, Routing, ScoreFunction, Traits } from "../routers/router.ts";
import { tokenChoice } from "../routers/parts/scoring.ts";
import { switchRouter } from "../routers/switch.ts";
import { sigmoid } from "../tensor/activations.ts";
import { add, affine, greater, log, multiply, negate, where } from "../tensor/arithmetic.ts";
import { truncatedNormal, uniformWithin } from "../tensor/init.ts";
import { maximum } from "../tensor/piecewise.ts";
import { matmul } from "../tensor/products.ts";
import { softmax, sumAll } from "../tensor/reduce.ts";
import { take, takeAlong, topK, wholeNumbers } from "../tensor/rows.ts";
import {
  apply,
  type Parameter,
  parameter,
  reshape,
  stopGradient,
  type Tensor,
  tensor,
} from "../tensor/tensor.ts";
import { gpuTest } from "./gpu.ts";
import { onCpu, onGpu, type Place } from "./place.ts";
import { routerChecks, subjectOf, type Variant } from "./router_contract.ts";

/** Names of the checks a plugin fails. */
async function failures(plugin: AnyRouterPlugin, variant: Variant, place: Place = onCpu): Promise<string[]> {
  const subject = subjectOf(plugin, variant, place);
  const failed: string[] = [];
  for (const check of routerChecks) {
    if (check.applies && !check.applies(subject) || check.where === "webgpu" && place === onCpu) continue;
    try {
      await check.run(subject);
    } catch {
      failed.push(check.name);
    }
  }
  return failed;
}

type Alter = (route: Router["route"]) => Router["route"];

/** The Switch router with another `route`. */
function altered(alter: Alter, plugin: AnyRouterPlugin = switchRouter): AnyRouterPlugin {
  return {
    ...plugin,
    create(dims, options, init) {
      const router = plugin.create(dims, options, init);
      return { ...router, route: alter(router.route) };
    },
  };
}

const result = (change: (routing: Routing, E: number) => Partial<Routing>): AnyRouterPlugin =>
  altered((route) => async (x, step) => {
    const routing = await route(x, step);
    return { ...routing, ...change(routing, routing.probability_TE!.shape[1]) };
  });

function mapped(x: Tensor, values: readonly number[]): Tensor {
  return reshape(take(tensor(x.backend, Int32Array.from(values), [values.length]), x), x.shape);
}

const quiet: Variant = { options: { jitter: 0 }, noisy: false };
const roomy: Variant = { options: { jitter: 0, capacityRule: "dropless" }, noisy: false };
let made = 0;

interface Fault {
  readonly about: string;
  readonly plugin: AnyRouterPlugin;
  readonly variant?: Variant;
  /** A check that must fail. */
  readonly check: string;
}

const faults: readonly Fault[] = [
  {
    about: "routes padding",
    plugin: altered((route) => (x, { real_T: _, ...step }) => route(x, step)),
    check: "experts, tokens and weights are in range",
  },
  {
    about: "counts padding in its loss",
    plugin: altered((route) => async (x, step) => {
      const { real_T: _, ...all } = step;
      return { ...await route(x, step), losses: (await route(x, all)).losses };
    }),
    check: "a batch with padding is routed like the batch without it",
  },
  {
    about: "is noisy in evaluation",
    plugin: altered((route) => (x, step) => route(x, { ...step, training: true })),
    variant: { options: {}, noisy: true },
    check: "evaluation is free of noise",
  },
  {
    about: "says it is noisy and is not",
    plugin: switchRouter,
    variant: { ...quiet, noisy: true },
    check: "training draws random numbers if, and only if",
  },
  {
    about: "draws from a stream of its own",
    plugin: altered((route) => (x, step) => {
      made++;
      return route(x, { ...step, random: step.random.split(made) });
    }),
    variant: { options: {}, noisy: true },
    check: "same seed, same routing",
  },
  {
    about: "names experts that are not there",
    plugin: result(({ expert_N, wanted_N }, E) => {
      const shift = Array.from({ length: E }, (_, e) => e + 1);
      return { expert_N: mapped(expert_N, shift), wanted_N: mapped(wanted_N, shift) };
    }),
    check: "experts, tokens and weights are in range",
  },
  {
    about: "keeps what was not wanted",
    plugin: result(({ expert_N }, E) => ({
      expert_N: mapped(expert_N, Array.from({ length: E }, (_, e) => (e + 1) % E)),
    })),
    check: "experts, tokens and weights are in range",
  },
  {
    about: "weighs below zero",
    plugin: result(({ weight_N }) => ({ weight_N: negate(weight_N) })),
    check: "experts, tokens and weights are in range",
  },
  {
    about: "weighs to infinity where a gate is sure",
    plugin: result(({ weight_N }) => ({ weight_N: affine(weight_N, 3.4e38, 3.4e38 - 2e37) })),
    check: "experts, tokens and weights are in range",
  },
  {
    about: "cuts the gradient of its weights",
    plugin: result(({ weight_N }) => ({ weight_N: stopGradient(weight_N) })),
    check: "gradients reach every parameter through weights",
  },
  {
    about: "freezes a second parameter",
    plugin: {
      ...switchRouter,
      create(dims, options, init) {
        const router = switchRouter.create(dims, options, init);
        return {
          ...router,
          params: { ...router.params, idle: init.parameter("idle", [3], uniformWithin(1)) },
        };
      },
    } as AnyRouterPlugin,
    check: "gradients reach every parameter through weights",
  },
  {
    about: "says no gradient and has one",
    plugin: { ...switchRouter, traits: { ...switchRouter.traits, gradient: "none" } },
    check: "no gradient: nothing travels",
  },
  {
    about: "cuts the gradient of its loss",
    plugin: result(({ losses }) => ({ losses: { balance: stopGradient(losses.balance) } })),
    check: "balanced by a loss",
  },
  {
    about: "says it drops nothing and drops",
    plugin: { ...switchRouter, traits: { ...switchRouter.traits, perToken: "exactly K" } },
    check: "every token has exactly K distinct experts",
  },
  {
    about: "says it is causal and drops by probability",
    plugin: switchRouter,
    variant: { options: { jitter: 0, dropOrder: "probability" }, traits: { causal: true } },
    check: "causal: later tokens",
  },
  {
    about: "says it is causal and places first choices first",
    plugin: gshard,
    variant: { options: { second: "always" }, traits: { causal: true } },
    check: "causal: later tokens",
  },
  {
    about: "says it balances by construction and does not",
    plugin: { ...switchRouter, traits: { ...switchRouter.traits, balancedBy: "construction" } },
    check: "balanced by construction",
  },
  {
    about: "breaks ties upwards",
    plugin: result(({ expert_N, wanted_N }, E) => {
      const turned = Array.from({ length: E }, (_, e) => E - 1 - e);
      return { expert_N: mapped(expert_N, turned), wanted_N: mapped(wanted_N, turned) };
    }),
    variant: roomy,
    check: "ties go to the lower expert index",
  },
  {
    about: "sends a token to one expert twice",
    plugin: altered((route) => async (x, step) => {
      const routing = await route(x, step);
      const [N] = routing.token_N.shape;
      return {
        ...routing,
        choices: null,
        token_N: wholeNumbers(routing.token_N, [N], () => 0),
        expert_N: wholeNumbers(routing.token_N, [N], () => 0),
        wanted_N: wholeNumbers(routing.token_N, [N], () => 0),
      };
    }),
    check: "experts, tokens and weights are in range",
  },
  {
    about: "keeps memory",
    plugin: altered((route) => (x, step) => {
      parameter(x.backend, new Float32Array(64), [64]);
      return route(x, step);
    }),
    check: "nothing made is left behind",
  },
  {
    about: "takes any option",
    plugin: { ...switchRouter, options: z.looseObject(switchShape()) },
    check: "bad options are refused",
  },
  {
    about: "takes any number",
    plugin: { ...switchRouter, options: z.strictObject({ ...switchShape(), balance: anyNumber() }) },
    check: "bad options are refused",
  },
  {
    about: "leaves an option undescribed",
    plugin: { ...switchRouter, options: z.strictObject({ ...switchShape(), z: z.number().default(0) }) },
    check: "describes every option",
  },
  {
    about: "samples and has no estimator",
    plugin: sampling({ silent: true }),
    variant: { options: {} },
    check: "score function: training has an estimator",
  },
  {
    about: "forgets its state in a checkpoint",
    plugin: sampling({ forgets: true }),
    variant: { options: {} },
    check: "survives a checkpoint",
  },
  {
    about: "keeps more bits than a checkpoint does",
    plugin: sampling({ rounds: true }),
    variant: { options: {} },
    check: "survives a checkpoint",
  },
  {
    about: "moves its bias the wrong way",
    plugin: biased(-1),
    variant: { options: {} },
    check: "balanced by a bias",
  },
  {
    about: "fails on a batch of one",
    plugin: altered((route) => (x, step) => {
      if (x.shape[0] === 1) throw new Error("index 1 out of bounds");
      return route(x, step);
    }),
    check: "one token: a defined result, or one clear error",
  },
];

/** A linear gate, written out in each of the ways that routers of this package are not: all of them keep the contract. */
function sound(
  name: string,
  traits: Partial<Traits>,
  create: (parts: { gate_DE: Parameter; E: number }) => Omit<Router, "params">,
): AnyRouterPlugin {
  return {
    name,
    about: "A router that is held to the contract in a test.",
    paper: { title: "None", year: 2026, identifier: "none", equations: "none" },
    traits: {
      causal: true,
      balancedBy: "nothing",
      perToken: "exactly K",
      gradient: "through weight",
      ...traits,
    },
    options: z.strictObject({}),
    expertsPerToken: () => 1,
    create({ D, E }, _options, init) {
      const gate_DE = init.parameter("gate", [D, E], truncatedNormal(0.2));
      return { params: { gate: gate_DE }, ...create({ gate_DE, E }) };
    },
  };
}

/** Draws an expert, weighs it 1, and learns by score function with a running baseline. */
function sampling(fault: { forgets?: boolean; rounds?: boolean; silent?: boolean } = {}): AnyRouterPlugin {
  return sound("sampling", { gradient: "score function" }, ({ gate_DE, E }) => {
    let baseline = 0;
    // A state holds f32: a number that is kept must be one, or a checkpoint would round it.
    const keep = fault.rounds ? (value: number) => value : Math.fround;
    return {
      route(x_TD, { training, random, real_T }) {
        const [T] = x_TD.shape;
        const probability_TE = softmax(matmul(x_TD, gate_DE));
        const [key0, key1] = random.split("draw").key;
        const [draw_TE] = apply(kernels.uniform, [], { key0, key1, shape: [T, E] }, x_TD.backend);
        // The largest of log p - log(-log u) falls on an expert with probability p.
        const gumbel_TE = negate(log(negate(log(affine(draw_TE, 1, 2 ** -25)))));
        const noisy_TE = training ? add(log(probability_TE), gumbel_TE) : probability_TE;
        const wanted_TK = maskExperts(topK(stopGradient(noisy_TE), 1).index_TK, real_T);
        const ones_T = tensor(x_TD.backend, new Float32Array(T).fill(1), [T]);
        const estimator: ScoreFunction = {
          logProbability_T: reshape(
            log(takeAlong(probability_TE, topK(stopGradient(noisy_TE), 1).index_TK)),
            [T],
          ),
          importance_T: real_T ?? ones_T,
          baseline,
          observeLoss: (mean) => baseline = keep(0.9 * baseline + 0.1 * mean),
        };
        const choices = { wanted_TK, expert_TK: wanted_TK, weight_TK: reshape(ones_T, [T, 1]) };
        return {
          ...tokenChoice(choices, { probability_TE, losses: {} }),
          ...(training && !fault.silent ? { estimator } : {}),
        };
      },
      state: () => ({ baseline: Float32Array.of(baseline) }),
      restore: (state) => baseline = fault.forgets ? 0 : state.baseline[0],
    };
  });
}

/** Adds a bias to the choice alone, and moves it towards experts with less than their share. */
function biased(sign = 1): AnyRouterPlugin {
  return sound("biased", { balancedBy: "bias" }, ({ gate_DE, E }) => {
    const bias = new Float32Array(E);
    return {
      route(x_TD, { real_T }) {
        const [T] = x_TD.shape;
        const probability_TE = softmax(matmul(x_TD, gate_DE));
        const chosen_TK =
          topK(stopGradient(add(probability_TE, tensor(x_TD.backend, bias, [E]))), 1).index_TK;
        const wanted_TK = maskExperts(chosen_TK, real_T);
        const weight_TK = reshape(takeAlong(probability_TE, chosen_TK), [T, 1]);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, { probability_TE, losses: {} });
      },
      observe({ wanted }) {
        const mean = wanted.reduce((sum, load) => sum + load, 0) / E;
        wanted.forEach((load, e) => bias[e] += sign * 1e-3 * Math.sign(mean - load));
      },
      state: () => ({ bias: bias.slice() }),
      restore: (state) => bias.set(state.bias),
    };
  });
}

/** Experts choose the tokens they score highest, each as many as its share of the real ones. */
function choosing(): AnyRouterPlugin {
  const traits = { causal: false, balancedBy: "construction", perToken: "varies" } as const;
  return sound("choosing", traits, ({ gate_DE, E }) => ({
    route(x_TD, { real_T }) {
      const [T] = x_TD.shape;
      const C = Math.min(T, Math.max(1, Math.floor(T / E)));
      const score_ET = sigmoid(matmul(gate_DE, x_TD, { transposeA: true, transposeB: true }));
      const real = real_T ?? tensor(x_TD.backend, new Float32Array(T).fill(1), [T]);
      const { value_TK: weight_EC, index_TK: token_EC } = topK(multiply(score_ET, real), C);
      const token_N = reshape(token_EC, [E * C]);
      const rank = Float32Array.from({ length: E * C }, (_, n) => n % C);
      const share = maximum(affine(sumAll(real), 1 / E, -0.999), tensor(x_TD.backend, [0], [1]));
      const isOver = greater(tensor(x_TD.backend, rank, [E * C]), share);
      const expert_N = wholeNumbers(token_N, [E * C], (n) => Math.floor(n / C));
      const none = wholeNumbers(token_N, [E * C], () => -1);
      const kept_N = where(take(real, token_N), where(isOver, none, expert_N), none);
      const weight_N = reshape(weight_EC, [E * C]);
      return { token_N, expert_N: kept_N, wanted_N: kept_N, weight_N, choices: null, losses: {} };
    },
  }));
}

function switchShape(): Record<string, z.ZodType> {
  return (switchRouter.options as unknown as z.ZodObject).shape as Record<string, z.ZodType>;
}

function anyNumber(): z.ZodType {
  return z.preprocess((value) => Number(value), z.number()).default(0.01).describe(
    "weight of the balance loss",
  );
}

for (
  const [plugin, noisy] of [[sampling(), true], [biased(), false], [choosing(), false]] as const
) {
  Deno.test(`a sound router passes: ${plugin.name}`, async () => {
    assertEquals(await failures(plugin, { options: {}, noisy }), []);
  });
}

for (const { about, plugin, variant = quiet, check } of faults) {
  Deno.test(`the contract catches a router that ${about}`, async () => {
    const failed = await failures(plugin, variant);
    assert(failed.some((name) => name.includes(check)), `failed: ${failed.join("; ") || "nothing"}`);
  });
}

/** Faults that only the other backend shows. */
const onOneBackend: readonly Fault[] = [
  {
    about: "chooses otherwise on WebGPU",
    plugin: altered((route) => async (x, step) => {
      const routing = await route(x, step);
      if (x.backend.name === "cpu") return routing;
      const turned = Array.from({ length: 8 }, (_, e) => 7 - e);
      const { expert_N, wanted_N } = routing;
      return { ...routing, expert_N: mapped(expert_N, turned), wanted_N: mapped(wanted_N, turned) };
    }),
    check: "on WebGPU as on the CPU",
  },
  {
    about: "weighs by a thousandth more on WebGPU",
    plugin: altered((route) => async (x, step) => {
      const { weight_N, ...rest } = await route(x, step);
      return { ...rest, weight_N: x.backend.name === "cpu" ? weight_N : affine(weight_N, 1.001, 0) };
    }),
    check: "on WebGPU as on the CPU",
  },
];

for (const { about, plugin, check } of onOneBackend) {
  gpuTest(`the contract catches a router that ${about}`, async () => {
    assertEquals(await failures(plugin, roomy), []);
    const failed = await failures(plugin, roomy, await onGpu());
    assert(failed.some((name) => name.includes(check)), `failed: ${failed.join("; ") || "nothing"}`);
  });
}

Deno.test("every fault names a check there is", () => {
  const used = [...faults, ...onOneBackend].map(({ check }) =>
    routerChecks.findIndex(({ name }) => name.includes(check))
  );
  assertEquals(used.filter((at) => at < 0), []);
});
