// The contract suite against routers with one fault each: a suite that lets a fault pass would prove nothing.
import { assert, assertEquals } from "@std/assert";
import { z } from "zod";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import type { Router, Routing } from "../routers/router.ts";
import { gshard } from "../routers/gshard.ts";
import { switchRouter } from "../routers/switch.ts";
import { affine, negate } from "../tensor/arithmetic.ts";
import { uniformWithin } from "../tensor/init.ts";
import { take, wholeNumbers } from "../tensor/rows.ts";
import { parameter, reshape, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import { routerChecks, subjectOf, type Variant } from "./router_contract.ts";

/** Names of the checks a plugin fails. */
async function failures(plugin: AnyRouterPlugin, variant: Variant): Promise<string[]> {
  const subject = subjectOf(plugin, variant);
  const failed: string[] = [];
  for (const check of routerChecks) {
    if (check.notYet || check.applies && !check.applies(subject)) continue;
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
    about: "fails on a batch of one",
    plugin: altered((route) => (x, step) => {
      if (x.shape[0] === 1) throw new Error("index 1 out of bounds");
      return route(x, step);
    }),
    check: "one token: a defined result, or one clear error",
  },
];

function switchShape(): Record<string, z.ZodType> {
  return (switchRouter.options as unknown as z.ZodObject).shape as Record<string, z.ZodType>;
}

function anyNumber(): z.ZodType {
  return z.preprocess((value) => Number(value), z.number()).default(0.01).describe(
    "weight of the balance loss",
  );
}

for (const { about, plugin, variant = quiet, check } of faults) {
  Deno.test(`the contract catches a router that ${about}`, async () => {
    const failed = await failures(plugin, variant);
    assert(failed.some((name) => name.includes(check)), `failed: ${failed.join("; ") || "nothing"}`);
  });
}

Deno.test("every fault names a check there is", () => {
  const used = faults.map(({ check }) => routerChecks.findIndex(({ name }) => name.includes(check)));
  assertEquals(used.filter((at) => at < 0), []);
});
