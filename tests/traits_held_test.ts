// Routers that break their word: each declares something of itself that its routing is not, and is stopped at the first
// step where that shows, by name, so that it never reaches a table of equals.
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { type AnyRouterPlugin, findRouter, registerRouter } from "../routers/registry.ts";
import type { Router, RouteStep, Routing, Traits } from "../routers/router.ts";
import { reshape, type Tensor, tensor } from "../tensor/tensor.ts";
import { train } from "../training/train.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const data = await madeUpData();
const backend = await cpu({ threads: 1 });

/** Registers a router of a gate whose routing `change` makes from a sound one's. */
function lying(
  name: string,
  traits: Partial<Traits>,
  change: (routing: Routing, x_TD: Tensor, step: RouteStep) => Routing | Promise<Routing>,
  K = 1,
): AnyRouterPlugin {
  const sound = findRouter("switch");
  const plugin: AnyRouterPlugin = {
    ...sound,
    name,
    traits: { ...sound.traits, ...traits },
    traitsWith: () => ({}),
    expertsPerToken: () => K,
    create(dims, options, init): Router {
      const router = sound.create(dims, options, init);
      return {
        ...router,
        route: async (x_TD, step) => await change(await router.route(x_TD, step), x_TD, step),
      };
    },
  };
  registerRouter(plugin);
  return plugin;
}

const whole = (x_TD: Tensor, N: number, at: (n: number) => number) =>
  tensor(x_TD.backend, Int32Array.from({ length: N }, (_, n) => at(n)), [N]);

/** Every token to every expert. */
function toAll(routing: Routing, x_TD: Tensor): Routing {
  const [T] = x_TD.shape;
  const [, E] = routing.probability_TE!.shape;
  const expert_N = whole(x_TD, T * E, (n) => n % E);
  return {
    ...routing,
    token_N: whole(x_TD, T * E, (n) => Math.floor(n / E)),
    expert_N,
    wanted_N: expert_N,
    weight_N: reshape(routing.probability_TE!, [T * E]),
    choices: null,
  };
}

function toOne(expert: (token: number, E: number) => number) {
  return (routing: Routing, x_TD: Tensor): Routing => {
    const [T, E] = routing.probability_TE!.shape;
    const expert_N = whole(x_TD, T, (token) => expert(token, E));
    return { ...routing, expert_N, wanted_N: expert_N };
  };
}

/** From a step on, each token to an expert by the token that stands as far from the end as it does from the start. */
function backwards(from: number) {
  return async (routing: Routing, x_TD: Tensor, { step, tokenId_T }: RouteStep): Promise<Routing> => {
    const id_T = await tokenId_T!.read();
    const [, E] = routing.probability_TE!.shape;
    return toOne((token) => step < from ? id_T[token] % E : id_T[id_T.length - 1 - token] % E)(routing, x_TD);
  };
}

/** All slots of a sequence, whose tokens weigh alike in each. */
function inSlots(M: number) {
  return (routing: Routing, x_TD: Tensor, { sequences: { longest: L } }: RouteStep): Routing => {
    const [T] = x_TD.shape;
    const B = T / L;
    const weights = (shape: number[]) => tensor(x_TD.backend, new Float32Array(B * M * L).fill(1 / L), shape);
    const part = { x_TD, dispatch_BML: weights([B, M, L]), combine_BLM: weights([B, L, M]) };
    return { ...routing, mixture: { parts: [part] } };
  };
}

interface Lie {
  readonly router: AnyRouterPlugin;
  /** Steps it gets to take. */
  readonly steps: number;
  readonly named: readonly string[];
}

const lies: readonly Lie[] = [
  {
    router: lying("exactly-one", { perToken: "exactly K" }, toAll),
    steps: 0,
    named: ["token 0 goes to 4 experts", "exactly K with K = 1", '"varies"'],
  },
  {
    router: lying("up-to-one", { perToken: "up to K" }, toAll),
    steps: 0,
    named: ["token 0 goes to 4 experts", "up to K with K = 1"],
  },
  {
    router: lying("exactly-two", { perToken: "exactly K" }, (routing) => routing, 2),
    steps: 0,
    named: ["token 0 goes to 1 experts", "exactly K with K = 2"],
  },
  {
    router: lying("mixes-more", { causal: false }, inSlots(64)),
    steps: 0,
    named: ["its experts see 64 slots for 32 tokens", "K = 1"],
  },
  {
    router: lying("balanced", { balancedBy: "construction" }, toOne(() => 0)),
    steps: 0,
    named: ["from 0 to 64 assignments", "balance by construction"],
  },
  {
    router: lying("sees-ahead", { causal: true }, backwards(0)),
    steps: 0,
    named: ["after 0 steps a later token changes what an earlier one gets", "correct causal"],
  },
  {
    router: lying("learns-to-see-ahead", { causal: true }, backwards(3)),
    steps: 3,
    named: ["after 3 steps a later token changes what an earlier one gets"],
  },
  {
    router: lying("past-the-last", {}, toOne((token, E) => token === 5 ? E : token % E)),
    steps: 0,
    named: ["is 4 for assignment 5", "0 to 3"],
  },
  {
    router: lying("no-such-token", {}, (routing, x_TD) => ({
      ...routing,
      token_N: whole(x_TD, x_TD.shape[0], (token) => token === 5 ? 64 : token),
    })),
    steps: 0,
    named: ["token_N is 64 for assignment 5", "0 to 63"],
  },
];

for (const { router, steps, named } of lies) {
  Deno.test(`${router.name} is stopped by name after ${steps} steps`, async () => {
    const taken: number[] = [];
    const config = tinyConfig(router, {}, least, { "train.steps": 3 });
    const run = () => train(config, { backend, data, onStep: ({ step }) => void taken.push(step) });
    const { message } = await assertRejects(run, RangeError);
    assertMatch(message, new RegExp(`^Cannot go on with router "${router.name}"`));
    for (const name of named) assertStringIncludes(message, name);
    assertEquals(taken.length, steps);
  });
}

type Malformed = Readonly<Record<keyof Routing, unknown>>;

/** A routing whose parts are not what its type says, as a module without types may return it. */
function malformed(name: string, change: (routing: Routing, x_TD: Tensor) => Partial<Malformed> | null) {
  return lying(name, {}, (routing, x_TD) => {
    const changed = change(routing, x_TD);
    return (changed === null ? undefined : { ...routing, ...changed }) as Routing;
  });
}

const floats = (x_TD: Tensor, shape: readonly number[]) =>
  tensor(x_TD.backend, new Float32Array(shape.reduce((product, size) => product * size, 1)), shape);

Deno.test("a routing that is not one is refused by router, field, what was found and what is expected", async () => {
  const cases: readonly (readonly [AnyRouterPlugin, string])[] = [
    [malformed("no-routing", () => null), "it is undefined; expected is a routing"],
    [
      malformed("wide-weight", (_, x_TD) => ({ weight_N: floats(x_TD, [64, 1]) })),
      "weight_N is f32 [64, 1]; expected is f32 [N] = [64]",
    ],
    [
      malformed("float-expert", (_, x_TD) => ({ expert_N: floats(x_TD, [64]) })),
      "expert_N is f32 [64]; expected is i32 [N] = [64]",
    ],
    [
      malformed("short-wanted", (_, x_TD) => ({ wanted_N: whole(x_TD, 3, () => 0) })),
      "wanted_N is i32 [3]; expected is i32 [N] = [64]",
    ],
    [malformed("no-token", () => ({ token_N: undefined })), "token_N is undefined; expected is i32 [N]"],
    [
      malformed("no-choices", () => ({ choices: undefined })),
      "choices is undefined; expected is K where N = T K (N = 64, T = 64), or null",
    ],
    [
      malformed("three-choices", () => ({ choices: 3 })),
      "choices is 3; expected is K where N = T K (N = 64, T = 64)",
    ],
    [
      malformed("no-losses", () => ({ losses: undefined })),
      "losses is undefined; expected is losses by name",
    ],
    [
      malformed("number-loss", () => ({ losses: { mine: 3 } })),
      "losses.mine is 3; expected is f32 [1] = [1]",
    ],
    [
      malformed("wide-loss", (_, x_TD) => ({ losses: { mine: floats(x_TD, [2]) } })),
      "losses.mine is f32 [2]; expected is f32 [1] = [1]",
    ],
    [
      malformed("turned", (_, x_TD) => ({ probability_TE: floats(x_TD, [4, 64]) })),
      "probability_TE is f32 [4, 64]; expected is f32 [T, E] = [64, 4]",
    ],
  ];
  for (const [router, message] of cases) {
    const run = () => train(tinyConfig(router, {}, least, { "train.steps": 3 }), { backend, data });
    await assertRejects(run, TypeError, `Cannot use the routing of router "${router.name}": ${message}`);
  }
});

Deno.test("the same routings are let through by routers that say what they do", async () => {
  const honest = [
    lying("all-said", { perToken: "varies" }, toAll),
    lying("one-said", { balancedBy: "nothing", gradient: "through weight" }, toOne(() => 0)),
    lying("ahead-said", { causal: false }, backwards(0)),
    lying("mixes-as-said", { causal: false }, inSlots(64), 2),
  ];
  for (const router of honest) {
    using run = await train(tinyConfig(router, {}, least, { "train.steps": 3 }), { backend, data });
    assertEquals(run.record.steps.length, 3, router.name);
    assertEquals(run.record.end!.causal, { tested: true, holds: router.traits.causal }, router.name);
  }
});
