// An author's mistakes, each said at the first step: which router, which field, what was found and what is expected, and
// where in the author's file.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import * as z from "zod";
import { cpu } from "../cpu/backend.ts";
import { findRouter, registerRouter } from "../routers/registry.ts";
import { recordDecisions } from "../moe/replay.ts";
import type { Router, RouterLoad, RouterPlugin, RouteStep, Routing } from "../routers/router.ts";
import { matmul } from "../tensor/products.ts";
import { normal } from "../tensor/init.ts";
import { softmax } from "../tensor/reduce.ts";
import { reshape, type Tensor, tensor } from "../tensor/tensor.ts";
import { train } from "../training/train.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const data = await madeUpData();
const backend = await cpu({ threads: 1 });
const sound = findRouter("switch");

/** Tokens of a tiny batch, and its experts. */
const [T, E] = [64, 4];

interface Mistake {
  readonly about: string;
  /** What the router does otherwise. */
  readonly router: (router: Router, E: number) => Partial<Router>;
  readonly said: RegExp;
}

const routing =
  (change: (routing: Routing, x_TD: Tensor, step: RouteStep) => Partial<Routing>) =>
  ({ route }: Router): Partial<Router> => ({
    async route(x_TD, step) {
      const found = await route(x_TD, step);
      return { ...found, ...change(found, x_TD, step) };
    },
  });
const whole = (like: Tensor, at: (n: number) => number, N = T) =>
  tensor(like.backend, Int32Array.from({ length: N }, (_, n) => at(n)), [N]);
const place = String.raw` \(/\S+/tests/plugin_mistakes_test\.ts:\d+:\d+\)$`;

const mistakes: readonly Mistake[] = [
  {
    about: "an expert that is not there",
    router: routing(({ expert_N }) => ({
      wanted_N: whole(expert_N, () => E),
      expert_N: whole(expert_N, () => E),
    })),
    said: /: in layer 1 expert_N is 4 for assignment 0; experts are 0 to 3, or -1 for none$/,
  },
  {
    about: "a token that is not there",
    router: routing(({ expert_N }) => ({ token_N: whole(expert_N, (n) => n + 1) })),
    said: /: in layer 1 token_N is 64 for assignment 63; tokens are 0 to 63$/,
  },
  {
    about: "assignments in another order than choices say",
    router: routing(({ expert_N }) => ({ token_N: whole(expert_N, (n) => T - 1 - n) })),
    said:
      /token_N is 63 for assignment 0, and choices = 1 means that token t has assignments 1 t to 1 t \+ 0; order them/,
  },
  {
    about: "weights as a column",
    router: routing(({ weight_N }) => ({ weight_N: reshape(weight_N, [T, 1]) })),
    said: /: weight_N is f32 \[64, 1\]; expected is f32 \[N\] = \[64\]$/,
  },
  {
    about: "no choices",
    router: routing(() => ({ choices: undefined as unknown as null })),
    said: /: choices is undefined; expected is K where N = T K \(N = 64, T = 64\), or null/,
  },
  {
    about: "experts as floats",
    router: routing(({ weight_N }) => ({ expert_N: weight_N })),
    said: /: expert_N is f32 \[64\]; expected is i32 \[N\] = \[64\]$/,
  },
  {
    about: "a loss a token",
    router: routing(({ weight_N }) => ({ losses: { mine: weight_N } })),
    said: /: losses\.mine is f32 \[64\]; expected is f32 \[1\] = \[1\]$/,
  },
  {
    about: "a scalar that is a number",
    router: routing(() => ({ scalars: { temperature: 0.5 as unknown as Tensor } })),
    said: /: scalars\.temperature is 0\.5; expected is f32 \[1\] = \[1\]$/,
  },
  {
    about: "an estimator of another length",
    router: routing(({ weight_N }) => ({
      estimator: {
        logProbability_T: weight_N,
        importance_T: tensor(weight_N.backend, [1, 1], [2]),
        baseline: 0,
      },
    })),
    said: /: estimator\.importance_T is f32 \[2\]; expected is f32 \[T\] = \[64\]$/,
  },
  {
    about: "nothing at all",
    router: () => ({ route: () => undefined as unknown as Routing }),
    said: /: it is undefined; expected is a routing$/,
  },
  {
    about: "a state of another type",
    router: () => ({ state: () => ({ load: new Float64Array(4) as unknown as Float32Array }), restore() {} }),
    said:
      /^Cannot keep the state of router "mistake-\d+": load is a Float64Array; expected is a Float32Array$/,
  },
  {
    about: "a state without restore",
    router: () => ({ state: () => ({ load: new Float32Array(4) }) }),
    said: /^Cannot keep the state of router "mistake-\d+": it has state\(\) and no restore\(\)$/,
  },
  {
    about: "a product of shapes that do not fit",
    router: ({ params }) => ({
      route: (x_TD) => ({ weight_N: matmul(params.gate, x_TD) }) as unknown as Routing,
    }),
    said:
      /^Cannot run matmul: .+ \(in router "mistake-\d+", \/\S+\/tests\/plugin_mistakes_test\.ts:\d+:\d+\)$/,
  },
  {
    about: "an undefined value",
    router: () => ({ route: (_, step) => (step as unknown as { group: { size: never } }).group.size }),
    said: new RegExp(
      `^Cannot go on with router "mistake-\\d+": TypeError: Cannot read properties of undefined .+${place}`,
    ),
  },
  {
    about: "a rejected promise",
    router: ({ route }) => ({
      async route(x_TD, step) {
        await route(x_TD, step);
        throw new Error("mine");
      },
    }),
    said: new RegExp(`^Cannot go on with router "mistake-\\d+": Error: mine${place}`),
  },
  {
    about: "an observer that throws",
    router: () => ({
      observe({ kept }: RouterLoad) {
        throw new RangeError(`kept ${kept.length}`);
      },
    }),
    said: new RegExp(`^Cannot go on with router "mistake-\\d+": RangeError: kept 4${place}`),
  },
];

mistakes.forEach(({ about, router: mistaken, said }, at) => {
  Deno.test(`${about}: said at the first step, in the author's terms`, async () => {
    const name = `mistake-${at}`;
    registerRouter({
      ...sound,
      name,
      create(dims, options, init) {
        const router = sound.create(dims, options, init);
        return { ...router, ...mistaken(router, dims.E) };
      },
    });
    const before = backend.statistics().usedBytes;
    let steps = 0;
    const running = () =>
      train(
        tinyConfig(name, { jitter: 0, capacityRule: "dropless" }, least, {
          "train.steps": 3,
          "model.experts": E,
          "train.length": T / 2,
        }),
        {
          backend,
          data,
          onStep: () => void steps++,
        },
      );
    const { message } = await assertRejects(running, Error) as Error;
    assertMatch(message, said);
    assert(message.includes(`router "${name}"`), message);
    assert(!message.includes("\n"), message);
    assertEquals(steps, 0, "it took a step");
    assertEquals(backend.statistics().usedBytes, before, "it left memory behind");
  });
});

Deno.test("a router whose create() throws is named, with the author's line", async () => {
  registerRouter({
    ...sound,
    name: "cannot-be-made",
    create(): Router {
      throw new Error("no such gate");
    },
  });
  const { message } = await assertRejects(
    () => train(tinyConfig("cannot-be-made", {}, least), { backend, data }),
    RangeError,
  );
  assertMatch(message, new RegExp(`^Cannot go on with router "cannot-be-made": Error: no such gate${place}`));
});

/** A router as a class: methods on the prototype, private fields, a plugin that is an instance too. */
class Alternating implements Router {
  readonly params;
  #turn = 0;
  constructor(gate: Router["params"][string], private readonly experts: number) {
    this.params = { gate };
  }
  route(x_TD: Tensor): Routing {
    const [T] = x_TD.shape;
    const weight_TE = softmax(matmul(x_TD, this.params.gate));
    const expert_N = whole(x_TD, (n) => (n + this.#turn) % this.experts, T);
    const token_N = whole(x_TD, (n) => n, T);
    const weight_N = tensor(x_TD.backend, new Float32Array(T).fill(1), [T]);
    return {
      token_N,
      expert_N,
      wanted_N: expert_N,
      weight_N,
      choices: 1,
      losses: {},
      probability_TE: weight_TE,
    };
  }
  observe(): void {
    this.#turn++;
  }
  state() {
    return { turn: Float32Array.of(this.#turn) };
  }
  restore({ turn }: Readonly<Record<string, Float32Array>>): void {
    this.#turn = turn[0];
  }
}

class AlternatingPlugin implements RouterPlugin<Record<string, never>> {
  #made = 0;
  readonly name = "alternating";
  readonly about = "Experts take turns.";
  readonly options = z.strictObject({});
  get paper() {
    return sound.paper;
  }
  get traits() {
    return { causal: true, balancedBy: "nothing", perToken: "exactly K", gradient: "none" } as const;
  }
  expertsPerToken(): number {
    return this.#made < 0 ? 2 : 1;
  }
  create({ D, E }: { D: number; E: number }, _: unknown, init: Parameters<typeof sound.create>[2]): Router {
    this.#made++;
    return new Alternating(init.parameter("gate", [D, E], normal(0.1)), E);
  }
}

Deno.test("methods may stand on a prototype, with private fields: trained, saved, resumed, recorded", async () => {
  const plugin = new AlternatingPlugin();
  registerRouter(plugin);
  const config = tinyConfig("alternating", {}, least, { "train.steps": 2 });
  // Its gate decides nothing, so no gradient reaches it: said by name, like any other parameter's.
  const { message } = await assertRejects(() => train(config, { backend, data }), TypeError);
  assertEquals(message, 'Cannot train alternating-seed0: no gradient reaches "blocks.1.router.gate"');

  const recorded = recordDecisions(plugin);
  assertEquals(recorded.plugin.expertsPerToken({}), 1);
  assertEquals(recorded.plugin.name, "alternating");
});
