// What every router must do, as a list of checks. A check says which traits it goes by, so a router is held to what it
// claims and to nothing else; `routerContract` makes tests of the list for one plugin, on the CPU and on WebGPU.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertInstanceOf,
  AssertionError,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import { feedForward } from "../experts/feed_forward.ts";
import type { Backend } from "../kernels/kernel.ts";
import { checkRouting } from "../moe/check_routing.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import type { Router, RouterLoad, RouteStep, Routing, Traits } from "../routers/router.ts";
import { add, multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { carriesGradient, type Parameter, parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { gpuTest } from "./gpu.ts";
import { onCpu, onGpu, type Place } from "./place.ts";
import { assertBadOptionsRefused, assertDescribed, assertSurviveJson } from "./plugin_options.ts";
import { apart, counting } from "./roundings.ts";

/** Options to hold a plugin to its contract with. */
export interface Variant {
  /** Besides the defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether training draws random numbers; nothing is checked where this is left out. */
  readonly noisy?: boolean;
  /** Traits that these options change: traits describe the defaults. */
  readonly traits?: Partial<Traits>;
  /** Parameters that only a loss teaches; all others must be reached through weights. */
  readonly byLoss?: readonly string[];
  /** Experts that a tie of all E = 8 goes to, where they are not the lowest; null where inputs of zero are no tie. */
  readonly ties?: readonly number[] | null;
}

/** A plugin with options, as a check sees it. */
export interface Subject {
  readonly place: Place;
  readonly plugin: AnyRouterPlugin;
  readonly options: unknown;
  readonly traits: Traits;
  readonly noisy: boolean | undefined;
  readonly byLoss: readonly string[];
  readonly ties: readonly number[] | null | undefined;
}

/** One promise of the contract. */
export interface Check {
  readonly name: string;
  /** What to do about a breach, for the router's author. */
  readonly means: string;
  /** Absent: every router makes this promise. */
  readonly applies?: (subject: Subject) => boolean;
  /** Kept or broken without a backend, or a matter of WebGPU beside the CPU. Absent: checked on both backends. */
  readonly where?: "on paper" | "webgpu";
  run(subject: Subject): Promise<void> | void;
}

const one = onCpu.backend;

/** Deep equality, said in words: what the values mean, then the first that differ. */
function assertAlike(found: unknown, wanted: unknown, about: string): void {
  try {
    assertEquals(found, wanted);
  } catch (cause) {
    throw new AssertionError(`${about}: ${firstDifference(found, wanted, "") ?? "in type"}`, { cause });
  }
}

/** Where two values differ first, with both: `wanted[3] is 2 and was 1`; null where they do not. */
function firstDifference(found: unknown, wanted: unknown, path: string): string | null {
  const inner = (value: unknown) =>
    typeof value === "object" && value !== null ? Object.entries(value) : null;
  const [a, b] = [inner(found), inner(wanted)];
  if (a === null || b === null) {
    return Object.is(found, wanted) ? null : `${path || "it"} is ${found} and was ${wanted}`;
  }
  if (a.length !== b.length) return `${path || "it"} has ${a.length} values and had ${b.length}`;
  const known = new Map(b);
  for (const [name, value] of a) {
    const at = /^\d+$/.test(name) ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`;
    const difference = firstDifference(value, known.get(name), at);
    if (difference !== null) return difference;
  }
  return null;
}

const V = 100;
const E = 8;
const D = 32;
/** Counts that fall like those of words. */
const tokenCount_V = Int32Array.from({ length: V }, (_, id) => Math.floor(1000 / (id + 1)));

/** A batch on the host. */
interface Tokens {
  readonly T: number;
  readonly D: number;
  readonly length: number;
  readonly x: Float32Array;
  readonly id: Int32Array;
  readonly real?: Float32Array;
}

/** Rows that share a direction, so that gates prefer some experts and capacities run out. */
function tokensOf(
  { T = 48, width = D, length = 16, seed = 1 }: {
    T?: number;
    width?: number;
    length?: number;
    seed?: number;
  },
): Tokens {
  const stream = random(seed).split("tokens");
  const common = stream.split("common").normal(width);
  const own = stream.split("own").normal(T * width);
  const ids = stream.split("id").uniform(T);
  return {
    T,
    D: width,
    length,
    x: own.map((value, at) => value + common[at % width]),
    id: Int32Array.from(ids, (u) => Math.floor(V * u * u)),
  };
}

interface How {
  readonly training?: boolean;
  /** Seed of the step's random stream. */
  readonly stream?: number;
  /** Seed of the router's initial values. */
  readonly seed?: number;
  readonly E?: number;
  readonly backend?: Backend;
  /** All parameters zero. */
  readonly zeroed?: boolean;
}

/** What a router gave, on the host. */
interface Routed {
  readonly token: Int32Array;
  readonly expert: Int32Array;
  readonly wanted: Int32Array;
  readonly weight: Float32Array;
  readonly choices: number | null;
  readonly shared: number;
  readonly gradientWeight: Float32Array | null;
  readonly losses: Readonly<Record<string, number>>;
  readonly probability: Float32Array | null;
  readonly estimator: { logProbability: Float32Array; importance: Float32Array; baseline: number } | null;
}

function create(subject: Subject, width: number, how: How): Router {
  const backend = how.backend ?? subject.place.backend;
  const init = createInit(backend, random(how.seed ?? 0).split("init"));
  const router = subject.plugin.create({ D: width, E: how.E ?? E, V, tokenCount_V }, subject.options, init);
  if (how.zeroed) {
    for (const param of Object.values(router.params)) {
      param.assign(tensor(backend, new Float32Array(param.shape.reduce((a, b) => a * b, 1)), param.shape));
    }
  }
  return router;
}

function stepOf(backend: Backend, tokens: Tokens, how: How): RouteStep {
  const { T, length, id, real } = tokens;
  return {
    training: how.training ?? false,
    step: 3,
    random: random(how.stream ?? 0).split("step"),
    tokenId_T: tensor(backend, id, [T]),
    sequences: equalSequences(length === 0 ? 0 : T / length, length),
    ...(real ? { real_T: tensor(backend, real, [T]) } : {}),
  };
}

async function route(subject: Subject, tokens: Tokens, how: How = {}): Promise<Routed> {
  const backend = how.backend ?? subject.place.backend;
  using _scope = memory(backend);
  const router = create(subject, tokens.D, how);
  try {
    const x_TD = tensor(backend, tokens.x, [tokens.T, tokens.D]);
    return await read(await router.route(x_TD, stepOf(backend, tokens, how)), tokens, how.E ?? E);
  } finally {
    free(router.params);
  }
}

async function read(routing: Routing, tokens: Tokens, experts: number): Promise<Routed> {
  const { token_N, expert_N, wanted_N, weight_N, gradientWeight_N, probability_TE, estimator } = routing;
  checkRouting(routing, { T: tokens.T, E: experts, called: "this router" });
  if (gradientWeight_N) {
    assert(
      !carriesGradient(gradientWeight_N),
      "gradientWeight_N carries a gradient; pass it through stopGradient",
    );
  }
  if (estimator) {
    assert(!carriesGradient(estimator.importance_T), "estimator.importance_T carries a gradient");
  }
  const whole = (values: Tensor) => values.read() as Promise<Int32Array>;
  const floats = (values: Tensor) => values.read() as Promise<Float32Array>;
  // Asked for together: a GPU is waited for once.
  const [token, expert, wanted, weight, gradientWeight, probability, sampled, losses] = await Promise.all([
    whole(token_N),
    whole(expert_N),
    whole(wanted_N),
    floats(weight_N),
    gradientWeight_N ? floats(gradientWeight_N) : null,
    probability_TE ? floats(probability_TE) : null,
    estimator ? Promise.all([floats(estimator.logProbability_T), floats(estimator.importance_T)]) : null,
    Promise.all(Object.values(routing.losses).map(scalar)),
  ]);
  return {
    token,
    expert,
    wanted,
    weight,
    choices: routing.choices,
    shared: routing.shared ?? 0,
    gradientWeight,
    losses: Object.fromEntries(Object.keys(routing.losses).map((name, at) => [name, losses[at]])),
    probability,
    estimator: sampled && {
      logProbability: sampled[0],
      importance: sampled[1],
      baseline: estimator!.baseline,
    },
  };
}

/** All numbers of a routing that carry roundings, by name. */
function numbersOf({ weight, gradientWeight, probability, estimator, losses }: Routed) {
  const all: Record<string, Float32Array | null> = { weight, gradientWeight, probability };
  for (const [name, loss] of Object.entries(losses)) all[`loss ${name}`] = Float32Array.of(loss);
  if (estimator) {
    all.logProbability = estimator.logProbability;
    all.importance = estimator.importance;
  }
  return Object.fromEntries(
    Object.entries(all).map(([name, values]) => [name, values ?? new Float32Array()]),
  );
}

/** A router at work on one batch in training, step after step. */
async function withRouter<Found>(
  subject: Subject,
  body: (router: Router, step: (stream?: number) => Promise<Routed>) => Promise<Found>,
): Promise<Found> {
  const tokens = tokensOf({});
  const { backend } = subject.place;
  const router = create(subject, D, {});
  try {
    return await body(router, async (stream = 0) => {
      using _scope = memory(backend);
      const routing = await router.route(
        tensor(backend, tokens.x, [tokens.T, D]),
        stepOf(backend, tokens, { training: true, stream }),
      );
      routing.estimator?.observeLoss?.(1.5);
      return await read(routing, tokens, E);
    });
  } finally {
    free(router.params);
  }
}

/** Loads of the batch that {@linkcode withRouter} routes. */
function loadOf({ wanted, expert }: Routed): RouterLoad {
  const count = (of: Int32Array) => {
    const load = new Array<number>(E).fill(0);
    for (const e of of) if (e >= 0) load[e]++;
    return load;
  };
  return { tokens: tokensOf({}).T, wanted: count(wanted), kept: count(expert) };
}

function free(params: Readonly<Record<string, Parameter>>): void {
  for (const param of Object.values(params)) param.backend.free(param.buffer);
}

function hasParameters(subject: Subject): boolean {
  const { params } = create(subject, D, {});
  free(params);
  return Object.keys(params).length > 0;
}

/** Holds for any routing of any batch. */
function assertSound(routed: Routed, tokens: Tokens, subject: Subject, experts = E): void {
  const { token, expert, wanted, weight, choices, gradientWeight, losses, probability, estimator } = routed;
  const keptPairs = new Set<string>();
  const wantedPairs = new Set<string>();
  for (let n = 0; n < token.length; n++) {
    const at = `assignment ${n}`;
    assert(token[n] >= 0 && token[n] < tokens.T, `${at}: token ${token[n]} of ${tokens.T}`);
    assert(wanted[n] >= -1 && wanted[n] < experts, `${at}: expert ${wanted[n]} wanted, of ${experts}`);
    assert(expert[n] === -1 || expert[n] === wanted[n], `${at}: ${wanted[n]} wanted, ${expert[n]} kept`);
    assert(Number.isFinite(weight[n]) && weight[n] >= 0, `${at}: weight ${weight[n]}`);
    if (wanted[n] >= 0) {
      const pair = `${token[n]} to ${wanted[n]}`;
      assert(!wantedPairs.has(pair), `${at}: token ${pair} twice`);
      wantedPairs.add(pair);
    }
    if (expert[n] >= 0) {
      keptPairs.add(`${token[n]} to ${expert[n]}`);
      assert(
        tokens.real === undefined || tokens.real[token[n]] === 1,
        `${at}: padding has expert ${expert[n]}`,
      );
    }
    const isPadding = tokens.real?.[token[n]] === 0;
    assert(!isPadding || wanted[n] === -1, `${at}: padding wants expert ${wanted[n]}`);
  }
  if (choices !== null) {
    const K = subject.plugin.expertsPerToken(subject.options as never);
    assert(choices === K, `choices is ${choices}, and expertsPerToken(options) is ${K}`);
    const n = token.findIndex((found, at) => found !== Math.floor(at / choices));
    assert(
      n < 0,
      `token_N is ${
        token[n]
      } for assignment ${n}; with choices = ${choices}, token t has assignments ${choices} t to ` +
        `${choices} t + ${choices - 1}`,
    );
  }
  for (const [name, loss] of Object.entries(losses)) {
    assert(Number.isFinite(loss), `loss "${name}" is ${loss}`);
  }
  assert(
    gradientWeight === null || gradientWeight.every((w) => Number.isFinite(w) && w >= 0),
    "gradient weights",
  );
  if (estimator) {
    assert(Number.isFinite(estimator.baseline), `baseline ${estimator.baseline}`);
    for (let t = 0; t < tokens.T; t++) {
      const [log, importance] = [estimator.logProbability[t], estimator.importance[t]];
      const isReal = tokens.real?.[t] !== 0;
      assert(Number.isFinite(log) && log <= 2 ** -20, `token ${t}: log probability ${log}`);
      assert(Number.isFinite(importance) && importance >= 0, `token ${t}: importance ${importance}`);
      assert(isReal || importance === 0, `token ${t}: padding has importance ${importance}`);
    }
  }
  if (probability) {
    for (let t = 0; t < tokens.T; t++) {
      const row = probability.subarray(t * experts, (t + 1) * experts);
      // Each term carries one rounding of the division and one of the exponential; the sum adds one a term.
      const tolerance = (experts + 4) * 2 ** -24;
      assert(row.every((p) => p >= 0 && p <= 1 + tolerance), `token ${t}: probabilities ${row}`);
      assertAlmostEquals(
        row.reduce((sum, p) => sum + p, 0),
        1,
        tolerance,
        `token ${t}: probabilities ${row}`,
      );
    }
  }
}

/** What was decided for some tokens, in an order that does not depend on the layout. */
function decisions(routed: Routed, of: (token: number) => boolean): string[] {
  const found: string[] = [];
  routed.token.forEach((token, n) => {
    if (of(token) && routed.wanted[n] >= 0) {
      found.push(`${token}: ${routed.wanted[n]}, kept ${routed.expert[n]}`);
    }
  });
  return found.sort();
}

function expertsByToken(routed: Routed, T: number, of: "expert" | "wanted"): number[][] {
  const found: number[][] = Array.from({ length: T }, () => []);
  routed[of].forEach((expert, n) => expert >= 0 && found[routed.token[n]].push(expert));
  return found;
}

/** Gradients of one of a router's effects. Reads "null" where none arrives. */
async function gradientOf(
  subject: Subject,
  tokens: Tokens,
  effect: "output" | "weights" | "losses" | "estimator",
  how: How = {},
): Promise<Record<string, Float32Array | null>> {
  const backend = how.backend ?? subject.place.backend;
  using _scope = memory(backend);
  const experts = how.E ?? E;
  const init = createInit(backend, random(7).split("experts"));
  const router = create(subject, tokens.D, how);
  const bank = feedForward.create({ D: tokens.D, F: 16, E: experts }, feedForward.options.parse({}), init);
  const x_TD = parameter(backend, tokens.x, [tokens.T, tokens.D]);
  const targets: Record<string, Parameter> = { ...router.params, "the router's input": x_TD };
  try {
    const layer = createMoeLayer({ D: tokens.D, E: experts, router, experts: bank });
    const { y_TD, routing } = await layer.apply(x_TD, stepOf(backend, tokens, { training: true, ...how }));
    const effects = {
      output: () => inRandomDirection(y_TD),
      weights: () => inRandomDirection(routing.weight_N),
      losses: () => Object.values(routing.losses).reduce(add, tensor(backend, [0], [1])),
      estimator: () => inRandomDirection(routing.estimator!.logProbability_T),
    };
    const loss = effects[effect]();
    if (!carriesGradient(loss)) return Object.fromEntries(Object.keys(targets).map((name) => [name, null]));
    const found = await gradients(loss, Object.values(targets));
    const values = await Promise.all(found.map((gradient) => gradient ? gradient.read() : null));
    return Object.fromEntries(
      Object.keys(targets).map((name, at) => [name, values[at] as Float32Array | null]),
    );
  } finally {
    free({
      ...targets,
      ...Object.fromEntries(Object.entries(bank.params).map(([k, v]) => [`expert ${k}`, v])),
    });
  }
}

/** A sum with random coefficients, so that no gradient cancels by symmetry. */
function inRandomDirection(y: Tensor): Tensor {
  const count = y.shape.reduce((product, dimension) => product * dimension, 1);
  return sumAll(multiply(y, tensor(y.backend, random(9).split("direction").normal(count), y.shape)));
}

function assertArrives(gradient: Float32Array | null, name: string): void {
  assert(gradient !== null, `no gradient reaches ${name}`);
  assert(gradient.every(Number.isFinite), `the gradient of ${name} is not finite`);
  assert(gradient.some((value) => value !== 0), `the gradient of ${name} is zero`);
}

/** What training a router must reach: its parameters, or what made its input where it has none. */
function targetsOf(found: Record<string, Float32Array | null>): [string, Float32Array | null][] {
  const parameters = Object.entries(found).filter(([name]) => name !== "the router's input");
  return parameters.length > 0 ? parameters : Object.entries(found);
}

/** A batch whose tokens at some places are padding, full of what must not matter. */
function padded(tokens: Tokens, isReal: (token: number) => boolean, content = 50): Tokens {
  const real = Float32Array.from({ length: tokens.T }, (_, t) => isReal(t) ? 1 : 0);
  const noise = random(Number.isFinite(content) ? content : 52).split("padding");
  const x = noise.normal(tokens.T * tokens.D).map((value, at) =>
    real[Math.floor(at / tokens.D)] ? tokens.x[at] : content * value
  );
  const drawn = noise.split("id").uniform(tokens.T);
  const id = tokens.id.map((value, t) => real[t] ? value : Math.floor(V * drawn[t]));
  return { ...tokens, x, id, real };
}

/** A batch of the real tokens alone, in sequences of `length`. */
function withoutPadding(tokens: Tokens, length: number): Tokens {
  const kept = [...tokens.real!.keys()].filter((t) => tokens.real![t] === 1);
  const x = new Float32Array(kept.length * tokens.D);
  kept.forEach((t, at) => x.set(tokens.x.subarray(t * tokens.D, (t + 1) * tokens.D), at * tokens.D));
  return { T: kept.length, D: tokens.D, length, x, id: Int32Array.from(kept, (t) => tokens.id[t]) };
}

/** Runs a body that may refuse: with one error in one clear sentence, and not a kernel's about shapes nobody chose. */
async function definedOrRefused(body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    assertMatch(error.message, /^Cannot (?!run )[^\n]+$/);
  }
}

interface Shape {
  readonly about: string;
  readonly tokens: Tokens;
  readonly E?: number | "K";
  readonly zeroed?: boolean;
}

const scaled = (tokens: Tokens, factor: number): Tokens => ({
  ...tokens,
  x: tokens.x.map((v) => v * factor),
});

const shapes: readonly Shape[] = [
  { about: "one token", tokens: tokensOf({ T: 1, length: 1 }) },
  { about: "fewer tokens than experts", tokens: tokensOf({ T: 3, length: 3 }) },
  { about: "tokens that experts do not divide", tokens: tokensOf({ T: 13, length: 13 }) },
  { about: "as many experts as choices", tokens: tokensOf({}), E: "K" },
  { about: "one expert", tokens: tokensOf({}), E: 1 },
  {
    about: "all tokens equal",
    tokens: {
      ...tokensOf({}),
      x: tokensOf({}).x.map((_, at, all) => all[at % D]),
      id: new Int32Array(48).fill(7),
    },
  },
  { about: "all inputs zero", tokens: scaled(tokensOf({}), 0) },
  { about: "all parameters zero", tokens: tokensOf({}), zeroed: true },
  { about: "inputs of 1e4", tokens: scaled(tokensOf({}), 1e4) },
  { about: "inputs of 1e-30", tokens: scaled(tokensOf({}), 1e-30) },
  { about: "nothing but padding", tokens: padded(tokensOf({}), () => false) },
  { about: "a sequence of nothing but padding", tokens: padded(tokensOf({}), (t) => t < 16 || t >= 32) },
  { about: "one real token", tokens: padded(tokensOf({}), (t) => t === 20) },
];

const both = [false, true];

/** The contract. */
export const routerChecks: readonly Check[] = [
  {
    name: "says what it is, and describes every option",
    means:
      "Give name (kebab-case), about (one sentence), paper, and .describe() and .default() to every option.",
    where: "on paper",
    run({ plugin }) {
      assertMatch(plugin.name, /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
      assertMatch(plugin.about, /^[^\n]+\.$/);
      const { title, year, identifier, equations } = plugin.paper;
      for (const text of [title, identifier, equations]) assert(text.trim() !== "");
      assert(Number.isInteger(year) && year > 1990);
      assertDescribed(plugin);
    },
  },
  {
    name: "options survive JSON, and defaults need nothing",
    means: "Options are numbers, texts, booleans and null; each has a default.",
    where: "on paper",
    run({ plugin, options }) {
      assertSurviveJson(options, (given) => parseOptions(plugin, given));
    },
  },
  {
    name: "bad options are refused by the names of router and option",
    means: "Use z.strictObject with ranges, so that a wrong name or value is refused.",
    where: "on paper",
    run({ plugin }) {
      assertBadOptionsRefused(plugin, (given) => parseOptions(plugin, given));
    },
  },
  {
    name: "experts, tokens and weights are in range, padded or not",
    means:
      "expert_N and wanted_N hold 0 to E - 1, or -1 where a token has none, as padding has (step.real_T is 0 there); weights are finite and not negative.",
    async run(subject) {
      const tokens = tokensOf({});
      for (const training of both) {
        assertSound(await route(subject, tokens, { training }), tokens, subject);
        const some = padded(tokens, (t) => t % 16 < 11);
        assertSound(await route(subject, some, { training }), some, subject);
      }
    },
  },
  {
    name: "every token has exactly K distinct experts",
    means:
      'traits.perToken is "exactly K": give every real token expertsPerToken(options) different experts, or declare "up to K" or "varies".',
    applies: ({ traits }) => traits.perToken === "exactly K",
    async run(subject) {
      const tokens = tokensOf({});
      const K = subject.plugin.expertsPerToken(subject.options as never);
      for (const training of both) {
        const byToken = expertsByToken(await route(subject, tokens, { training }), tokens.T, "expert");
        byToken.forEach((found, t) => {
          const has = `token ${t} has ${found.length === 0 ? "no expert" : `experts ${found.join(", ")}`}`;
          assert(found.length === K && new Set(found).size === K, `${has}; K = ${K}`);
        });
      }
    },
  },
  {
    name: "no token has more than K experts",
    means:
      'traits.perToken is "up to K": give no token more than expertsPerToken(options) experts, or declare "varies".',
    applies: ({ traits }) => traits.perToken === "up to K",
    async run(subject) {
      const tokens = tokensOf({});
      const K = subject.plugin.expertsPerToken(subject.options as never);
      for (const training of both) {
        const routed = await route(subject, tokens, { training });
        expertsByToken(routed, tokens.T, "wanted").forEach((found, t) =>
          assert(found.length <= K, `token ${t} has experts ${found.join(", ")}; K = ${K}`)
        );
      }
    },
  },
  {
    name: "causal: later tokens never change an earlier token's experts",
    means:
      "traits.causal is true: decide for a token from it and those before it alone, or declare causal: false.",
    applies: ({ traits }) => traits.causal,
    async run(subject) {
      const tokens = tokensOf({});
      for (const training of both) {
        const before = await route(subject, tokens, { training });
        // The last token of all, the last of the first sequence, and a whole second half.
        for (const from of [47, 15, 24]) {
          const until = from === 15 ? 16 : tokens.T;
          for (let other = 0; other < 12 * subject.place.patience; other++) {
            const drawn = random(100 + other).normal(tokens.x.length);
            const isChanged = (t: number) => t >= from && t < until;
            const changed: Tokens = {
              ...tokens,
              x: tokens.x.map((v, at) => isChanged(Math.floor(at / D)) ? 3 * drawn[at] : v),
              id: tokens.id.map((id, t) => isChanged(t) ? (id + 1 + other) % V : id),
            };
            const after = await route(subject, changed, { training });
            const isEarlier = (t: number) => t < from;
            assertAlike(
              decisions(after, isEarlier),
              decisions(before, isEarlier),
              `tokens from ${from} on were changed, and earlier ones got other experts`,
            );
          }
        }
      }
    },
  },
  {
    name: "balanced by construction: in training, loads differ by one at most",
    means:
      'traits.balancedBy is "construction": in training every expert takes as many assignments as any other, or one fewer.',
    applies: ({ traits }) => traits.balancedBy === "construction",
    // Assignment routers (BASE) promise balance in training only: alone, a token cannot be balanced against others.
    async run(subject) {
      for (
        const tokens of [
          tokensOf({}),
          tokensOf({ T: 45, length: 15 }),
          padded(tokensOf({}), (t) => t % 16 < 11),
        ]
      ) {
        const load = loadOf(await route(subject, tokens, { training: true })).kept;
        assert(Math.max(...load) - Math.min(...load) <= 1, `loads ${load}`);
      }
    },
  },
  {
    name: "balanced by a loss: it has one, and its gradient reaches every parameter",
    means:
      'traits.balancedBy is "loss": return one in losses, made of differentiable ops from every parameter.',
    applies: ({ traits }) => traits.balancedBy === "loss",
    async run(subject) {
      const { losses } = await route(subject, tokensOf({}), { training: true });
      assert(Object.keys(losses).length > 0, "it has no loss");
      const found = await gradientOf(subject, tokensOf({}), "losses");
      for (const [name, gradient] of targetsOf(found)) assertArrives(gradient, name);
    },
  },
  {
    name: "gradients reach every parameter through weights and the layer's output",
    means:
      'traits.gradient is "through weight": make weight_N with differentiable ops from every parameter; selection alone passes no gradient on.',
    applies: ({ traits }) => traits.gradient === "through weight",
    async run(subject) {
      for (const effect of ["weights", "output"] as const) {
        for (const [name, gradient] of targetsOf(await gradientOf(subject, tokensOf({}), effect))) {
          if (!subject.byLoss.includes(name)) assertArrives(gradient, name);
        }
      }
      if (subject.byLoss.length === 0) return;
      const found = await gradientOf(subject, tokensOf({}), "losses");
      for (const name of subject.byLoss) assertArrives(found[name], name);
    },
  },
  {
    name: "no gradient: nothing travels through weights",
    means: 'traits.gradient is "none": weight_N depends on no parameter and not on x_TD.',
    applies: ({ traits }) => traits.gradient === "none",
    async run(subject) {
      const byWeight = await gradientOf(subject, tokensOf({}), "weights");
      for (const [name, gradient] of Object.entries(byWeight)) {
        assert(gradient === null, `a gradient reaches ${name}`);
      }
    },
  },
  {
    name: "score function: training has an estimator, whose gradient reaches every parameter",
    means:
      'traits.gradient is "score function": in training return estimator, with log probabilities made of every parameter.',
    applies: ({ traits }) => traits.gradient === "score function",
    async run(subject) {
      const { estimator } = await route(subject, tokensOf({}), { training: true });
      assert(estimator !== null, "it has no estimator");
      assert(estimator.importance.some((weight) => weight > 0), "every importance weight is 0");
      const found = await gradientOf(subject, tokensOf({}), "estimator");
      for (const [name, gradient] of targetsOf(found)) assertArrives(gradient, name);
    },
  },
  {
    name: "no score function: it has no estimator",
    means: 'Return estimator only with traits.gradient "score function".',
    applies: ({ traits }) => traits.gradient !== "score function",
    async run(subject) {
      const { estimator } = await route(subject, tokensOf({}), { training: true });
      assert(estimator === null, "it returns an estimator");
    },
  },
  {
    name: "balanced by a bias: told the loads, it evens them out",
    means: 'traits.balancedBy is "bias": observe(load) moves a bias so that the fullest expert loses tokens.',
    applies: ({ traits }) => traits.balancedBy === "bias",
    async run(subject) {
      const largest = await withRouter(subject, async (router, step) => {
        const found: number[] = [];
        for (let at = 0; at < 400 * subject.place.patience; at++) {
          const routed = await step();
          const load = loadOf(routed);
          found.push(Math.max(...load.wanted.slice(routed.shared)));
          router.observe!(load);
        }
        return found;
      });
      const mean = (loads: number[]) => loads.reduce((sum, load) => sum + load, 0) / loads.length;
      const [before, after] = [mean(largest.slice(0, 20)), mean(largest.slice(-20))];
      assert(after < before, `the fullest expert went from ${before} to ${after}`);
    },
  },
  {
    name: "what it carries beyond parameters survives a checkpoint",
    means:
      "state() gives a copy of all that observe() changes, restore() takes it back, and the run goes on as if it had not been stopped.",
    async run(subject) {
      const after = (saved?: Readonly<Record<string, Float32Array>>) =>
        withRouter(subject, async (router, step) => {
          const [saves, restores] = [router.state !== undefined, router.restore !== undefined];
          assert(
            saves === restores,
            saves ? "it has state() and no restore()" : "it has restore() and no state()",
          );
          if (saved) router.restore?.(saved);
          for (let at = saved ? 5 : 0; at < 5; at++) {
            const routed = await step();
            router.observe?.(loadOf(routed));
          }
          const state = router.state?.() ?? {};
          // A checkpoint holds a copy: what happens next must not reach it.
          const copy = Object.fromEntries(
            Object.entries(state).map(([name, values]) => [name, values.slice()]),
          );
          const next = await step(9);
          router.observe?.(loadOf(next));
          assertAlike(state, copy, "the arrays that state() gave changed afterwards");
          return { state: copy, next, then: { ...router.state?.() } };
        });
      const first = await after();
      assertAlike(await after(first.state), first, "restored, it went on otherwise than it would have");
      // An observer without a state would come back from a checkpoint as another router.
      await withRouter(subject, (router) => {
        assert(!router.observe || router.state, "it observes loads and has no state");
        return Promise.resolve();
      });
    },
  },
  {
    name: "what padding holds changes nothing, bit for bit",
    means:
      "Begin with zeroPadding(x_TD, step.real_T), and leave padding out of every sum, mean and capacity.",
    async run(subject) {
      for (const training of both) {
        const with50 = await route(subject, padded(tokensOf({}), (t) => t % 16 < 11, 50), { training });
        const isReal = (t: number) => t % 16 < 11;
        const ofReal = ({ token, weight, estimator }: Routed) => [
          [...weight].filter((_, n) => isReal(token[n])),
          [...estimator?.logProbability ?? []].filter((_, t) => isReal(t)),
          [...estimator?.importance ?? []].filter((_, t) => isReal(t)),
        ];
        for (const content of [51, NaN, Infinity, -Infinity]) {
          const other = await route(subject, padded(tokensOf({}), isReal, content), { training });
          const about = `padding held ${content} instead of 50`;
          assertAlike(
            decisions(other, isReal),
            decisions(with50, isReal),
            `${about}, and real tokens got other experts`,
          );
          assertAlike(other.losses, with50.losses, `${about}, and losses changed`);
          assertAlike(ofReal(other), ofReal(with50), `${about}, and weights of real tokens changed`);
          const without = other.token.findIndex((token, n) => !isReal(token) && other.wanted[n] >= 0);
          assert(without < 0, `${about}, and it wants expert ${other.wanted[without]}`);
        }
      }
    },
  },
  {
    name: "what padding holds reaches no gradient: NaN there leaves all finite and as they were",
    means: "Begin with zeroPadding(x_TD, step.real_T): NaN times 0 is NaN in a gradient too.",
    async run(subject) {
      const isReal = (t: number) => t % 16 < 11;
      for (const effect of ["output", "losses"] as const) {
        const with50 = await gradientOf(subject, padded(tokensOf({}), isReal, 50), effect);
        const withNaN = await gradientOf(subject, padded(tokensOf({}), isReal, NaN), effect);
        for (const [name, gradient] of Object.entries(withNaN)) {
          const wanted = with50[name];
          const places = name === "the router's input"
            ? (at: number) => isReal(Math.floor(at / D))
            : () => true;
          const of = (values: Float32Array | null) => [...values ?? []].filter((_, at) => places(at));
          assertAlike(
            of(gradient),
            of(wanted),
            `padding held NaN instead of 50, and the gradient of ${name} changed`,
          );
        }
      }
    },
  },
  {
    name: "a batch with padding is routed like the batch without it",
    means: "Capacities, means and losses count real tokens alone (step.real_T).",
    async run(subject) {
      const some = padded(tokensOf({}), (t) => t % 16 < 12);
      const none = withoutPadding(some, 12);
      // Where training draws numbers, they fall on other places in a batch of another size.
      for (const training of subject.noisy === false ? both : [false]) {
        const [a, b] = [await route(subject, some, { training }), await route(subject, none, { training })];
        const place = (t: number) => Math.floor(t / 16) * 12 + t % 16;
        const moved: Routed = { ...a, token: a.token.map(place) };
        const isReal = (n: number) => some.real![a.token[n]] === 1;
        const only = { ...moved, wanted: moved.wanted.map((e, n) => isReal(n) ? e : -1) };
        const about = training ? "in training" : "in evaluation";
        assertAlike(
          decisions(only, () => true),
          decisions(b, () => true),
          `${about}, padding changes experts`,
        );
        assertAlike(
          Object.keys(a.losses),
          Object.keys(b.losses),
          `${about}, padding changes which losses there are`,
        );
        for (const [name, loss] of Object.entries(a.losses)) {
          // Means of T terms over E experts, none above 1 in size: a rounding a term on both sides.
          assertAlmostEquals(
            loss,
            b.losses[name],
            2 * (48 + E) * 2 ** -24 * Math.max(1, Math.abs(loss)),
            `${about}, padding changes losses.${name}`,
          );
        }
      }
    },
  },
  {
    name: "evaluation is free of noise, bit for bit",
    means: "Draw random numbers only where step.training is true.",
    async run(subject) {
      const tokens = tokensOf({});
      const [a, b] = [
        await route(subject, tokens, { stream: 1 }),
        await route(subject, tokens, { stream: 2 }),
      ];
      assertAlike(a, b, "two evaluations of one batch differ");
    },
  },
  {
    name: "training draws random numbers if, and only if, it says so",
    means: "The variant's noisy says whether training draws random numbers.",
    applies: ({ noisy }) => noisy !== undefined,
    async run(subject) {
      const tokens = tokensOf({});
      const a = await route(subject, tokens, { training: true, stream: 1 });
      const b = await route(subject, tokens, { training: true, stream: 2 });
      if (subject.noisy) assertNotEquals(a, b);
      else assertEquals(a, b);
    },
  },
  {
    name: "same seed, same routing, on any number of threads, bit for bit",
    means: "Draw from step.random alone, and keep nothing between calls but what observe() is told.",
    async run(subject) {
      const tokens = tokensOf({ T: 600, width: 64, length: 100 });
      for (const training of both) {
        const first = await route(subject, tokens, { training });
        for (const backend of subject.place.alike) {
          const again = await route(subject, tokens, { training, backend });
          assertAlike(again, first, "routed again, with other threads, a batch came out otherwise");
        }
      }
    },
  },
  {
    name: "same seed, same routing, on WebGPU as on the CPU: the same experts, and numbers apart by rounding",
    means:
      "Scores that decide between experts must not hang on the last bit; ops of this package choose alike on both backends.",
    where: "webgpu",
    async run(subject) {
      for (const tokens of [tokensOf({}), padded(tokensOf({ seed: 2 }), (t) => t % 16 < 11)]) {
        for (const training of both) {
          const counted = counting(one);
          const wanted = await route(subject, tokens, { training, backend: counted.backend });
          const found = await route(subject, tokens, { training });
          assertEquals(
            [found.token, found.wanted, found.expert, found.choices, found.shared],
            [wanted.token, wanted.wanted, wanted.expert, wanted.choices, wanted.shared],
          );
          const [a, b] = [numbersOf(found), numbersOf(wanted)];
          assertEquals(Object.keys(a), Object.keys(b));
          for (const [name, values] of Object.entries(a)) {
            assertEquals(values.length, b[name].length);
            const most = apart(counted.roundings()) * values.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
            values.forEach((value, at) => assertAlmostEquals(value, b[name][at], most, `${name} ${at}`));
          }
        }
      }
    },
  },
  {
    name: "the caller's tensors are never changed, and nothing made is left behind",
    means: "Make new tensors, assign to none you were given, and keep none from call to call.",
    async run(subject) {
      const tokens = padded(tokensOf({}), (t) => t % 16 < 11);
      const { backend, usedBytes } = subject.place;
      const before = usedBytes();
      for (const training of both) {
        using _scope = memory(backend);
        const router = create(subject, D, {});
        const x_TD = tensor(backend, tokens.x, [tokens.T, D]);
        const step = stepOf(backend, tokens, { training });
        const params = Object.values(router.params);
        const values = () =>
          Promise.all([x_TD, step.tokenId_T!, step.real_T!, ...params].map((values) => values.read()));
        const held = await values();
        await router.route(x_TD, step);
        assertAlike(await values(), held, "a tensor that it was given, or a parameter, was changed");
        free(router.params);
      }
      assert(usedBytes() === before, `${usedBytes() - before} bytes of what it made are still there`);
    },
  },
  {
    name: "ties go to the lower expert index",
    means: "Choose with topK, which gives equal scores to the lower index.",
    applies: ({ traits, ties }) =>
      traits.gradient !== "none" && traits.balancedBy !== "construction" && ties !== null,
    async run(subject) {
      const tokens = tokensOf({});
      for (
        const routed of [
          await route(subject, scaled(tokens, 0)),
          // Without parameters there is nothing to zero: scores then differ and no experts tie.
          ...(hasParameters(subject) ? [await route(subject, tokens, { zeroed: true })] : []),
        ]
      ) {
        if (routed.choices === null) continue; // experts choose: tokens tie, not experts
        const lowest = [...subject.ties ?? Array.from({ length: routed.choices }, (_, choice) => choice)];
        for (const found of expertsByToken(routed, tokens.T, "wanted")) {
          assertAlike(found, lowest, "all scores are equal");
        }
      }
    },
  },
  {
    name: "no tokens: nothing is assigned, losses and gradients are 0",
    means: "With T = 0, return empty arrays and losses of 0 (divide by the larger of 1 and the count).",
    async run(subject) {
      const tokens = tokensOf({ T: 0, length: 0 });
      for (const training of both) {
        const { token, losses } = await route(subject, tokens, { training });
        assert(token.length === 0, `${token.length} assignments of no token`);
        for (const [name, loss] of Object.entries(losses)) assert(loss === 0, `losses.${name} is ${loss}`);
      }
      for (const gradient of Object.values(await gradientOf(subject, tokens, "output", {}))) {
        assert(gradient === null || gradient.every((value) => value === 0), "a gradient is not 0");
      }
    },
  },
  ...shapes.map(({ about, tokens, E: experts, zeroed = false }): Check => ({
    name: `${about}: a defined result, or one clear error`,
    means: "Return finite weights and losses, or throw one RangeError that says what the router cannot do.",
    async run(subject) {
      const how = {
        E: experts === "K" ? subject.plugin.expertsPerToken(subject.options as never) : experts ?? E,
        zeroed,
      };
      for (const training of both) {
        await definedOrRefused(async () => {
          assertSound(await route(subject, tokens, { ...how, training }), tokens, subject, how.E);
        });
      }
      await definedOrRefused(async () => {
        for (const [name, gradient] of Object.entries(await gradientOf(subject, tokens, "output", how))) {
          assert(
            gradient === null || gradient.every(Number.isFinite),
            `the gradient of ${name} is not finite`,
          );
        }
      });
    },
  })),
  {
    name:
      "NaN in one token: experts are defined, alike on every backend, and other tokens keep their weights",
    means: "A NaN score must not reach other tokens: no sums over tokens in scores, and topK for choosing.",
    async run(subject) {
      const tokens = tokensOf({});
      const bad = 20;
      const x = tokens.x.map((value, at) => Math.floor(at / D) === bad ? NaN : value);
      for (const training of both) {
        const routed = await route(subject, { ...tokens, x }, { training });
        const pairs = decisions(routed, () => true);
        assert(new Set(pairs).size === pairs.length, `token ${bad}, which is NaN, goes to an expert twice`);
        routed.wanted.forEach((expert, n) => {
          assert(expert >= -1 && expert < E, `expert ${expert} wanted, of ${E}`);
          assert(
            routed.expert[n] === -1 || routed.expert[n] === expert,
            `${expert} wanted, ${routed.expert[n]}`,
          );
          const weight = routed.weight[n];
          if (routed.token[n] !== bad) assert(weight >= 0 && weight < Infinity, `weight ${weight} of ${n}`);
        });
        const again = await route(subject, { ...tokens, x }, { training, backend: one });
        assertAlike(pairs, decisions(again, () => true), "backends route a NaN differently");
      }
    },
  },
  {
    name: "what it was not told of the corpus is refused in one clear sentence, or not needed",
    means: "create() may be called without tokenCount_V and length.",
    async run({ plugin, options, place }) {
      await definedOrRefused(async () => {
        free(
          (await plugin.create({ D, E, V }, options as never, createInit(place.backend, random(0)))).params,
        );
      });
    },
  },
];

/** A plugin with the options of a variant. */
export function subjectOf(plugin: AnyRouterPlugin, variant: Variant, place: Place = onCpu): Subject {
  const options = parseOptions(plugin, variant.options);
  assertInstanceOf(options, Object);
  const traits = { ...plugin.traits, ...variant.traits };
  return {
    place,
    plugin,
    options,
    traits,
    noisy: variant.noisy,
    byLoss: variant.byLoss ?? [],
    ties: variant.ties,
  };
}

/** Makes tests of the whole contract for a plugin, on both backends, once for each variant of its options. */
export function routerContract(
  plugin: AnyRouterPlugin,
  variants: readonly Variant[] = [{ options: {} }],
  places: readonly ("cpu" | "webgpu")[] = ["cpu", "webgpu"],
): void {
  for (const variant of variants) {
    const subject = subjectOf(plugin, variant);
    const about = `router ${plugin.name} ${JSON.stringify(variant.options)}`;
    for (const check of routerChecks) {
      if (check.applies && !check.applies(subject)) continue;
      if (check.where !== "webgpu" && places.includes("cpu")) {
        Deno.test(`${about}: ${check.name}`, async () => await check.run(subject));
      }
      if (check.where === "on paper" || !places.includes("webgpu")) continue;
      gpuTest(`${about} on WebGPU: ${check.name}`, async () => {
        await check.run({ ...subject, place: await onGpu() });
      });
    }
  }
}
