// The MoE layer as a whole: against plain loops over tokens, against a dense layer, against finite differences, and its
// load report against counts by hand.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { swiglu } from "../experts/swiglu.ts";
import type { ExpertBank } from "../experts/expert.ts";
import { sizeOf } from "../kernels/kernel.ts";
import { createMoeLayer, type MoeLayer } from "../moe/layer.ts";
import { countDropsByPosition, gateEntropy, loadOf, type RoutingValues } from "../moe/load.ts";
import { gshard } from "../routers/gshard.ts";
import { hash } from "../routers/hash.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import type { Routing } from "../routers/router.ts";
import { switchRouter } from "../routers/switch.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit, type Init } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { assignmentsOf, groupBy, sortRows } from "../tensor/rows.ts";
import { equalSequences, sequencesOf } from "../tensor/sequences.ts";
import { type Parameter, parameter, tensor } from "../tensor/tensor.ts";

const backend = await cpu({ threads: 2 });
const EPSILON = 2 ** -24;

/** A kind of expert and its options. */
interface Kind {
  readonly name: "feed-forward" | "swiglu";
  readonly activation: "relu" | "gelu" | "silu";
  readonly bias: boolean;
}

const kinds: readonly Kind[] = [
  { name: "feed-forward", activation: "relu", bias: false },
  { name: "feed-forward", activation: "relu", bias: true },
  { name: "feed-forward", activation: "gelu", bias: true },
  { name: "swiglu", activation: "silu", bias: false },
];
const nameOf = ({ name, activation, bias }: Kind) => `${name}, ${activation}${bias ? ", bias" : ""}`;

interface Sizes {
  readonly T: number;
  readonly D: number;
  readonly F: number;
  readonly E: number;
  readonly V: number;
}

function createBank(kind: Kind, dims: Sizes, init: Init): ExpertBank {
  if (kind.name === "swiglu") return swiglu.create(dims, swiglu.options.parse({}), init);
  const { activation, bias } = kind;
  return feedForward.create(dims, feedForward.options.parse({ activation, bias }), init);
}

/** Every parameter, biases included, normal with standard deviation 0.5, from the stream of its name. */
function normalInit(
  seed: number,
  change = (values: Float32Array, _shape: readonly number[]) => values,
): Init {
  const stream = random(seed);
  const at = (prefix: string): Init => ({
    ...createInit(backend, stream.split(prefix)),
    parameter(name, shape) {
      const values = stream.split(prefix + name).normal(sizeOf(shape)).map((value) => value / 2);
      return parameter(backend, change(values, shape), shape);
    },
    part: (name) => at(`${prefix}${name}.`),
  });
  return at("");
}

/** A number in f64 and a bound on how far f32 arithmetic may be from it. */
interface Bounded {
  readonly value: number;
  readonly error: number;
}

/** Sum of n products: every term passes n + 1 roundings at most, whatever the order. */
function dot(terms: readonly (readonly [Bounded, Bounded])[]): Bounded {
  let value = 0;
  let error = 0;
  for (const [a, b] of terms) {
    value += a.value * b.value;
    error += (Math.abs(a.value) + a.error) * b.error + a.error * Math.abs(b.value) +
      (terms.length + 1) * EPSILON * Math.abs(a.value * b.value);
  }
  return { value, error };
}

const exact = (value: number): Bounded => ({ value, error: 0 });
const one = exact(1);

/** Abramowitz and Stegun's 7.1.5 series of erf, summed until it stands still. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= -x * x / n;
    sum += term / (2 * n + 1);
  }
  return 2 / Math.sqrt(Math.PI) * sum;
}

const activations = {
  relu: (x: number) => Math.max(x, 0),
  gelu: (x: number) => x * (1 + erf(x / Math.SQRT2)) / 2,
  silu: (x: number) => x / (1 + Math.exp(-x)),
};

/** No activation is steeper than 1.13, and each is computed to a few roundings of its argument. */
function activated({ value, error }: Bounded, name: Kind["activation"]): Bounded {
  return { value: activations[name](value), error: 1.13 * error + 8 * EPSILON * Math.abs(value) };
}

type Values = Readonly<Record<string, ArrayLike<number>>>;

/** Expert e of one row, in plain loops. */
function expertByLoops(
  kind: Kind,
  { D, F }: Sizes,
  params: Values,
  e: number,
  x: readonly number[],
): Bounded[] {
  const inputs = x.map(exact);
  const into = (name: string, bias: string | null) =>
    Array.from({ length: F }, (_, f) =>
      dot([
        ...inputs.map((value, d) => [value, exact(params[name][(e * D + d) * F + f])] as const),
        ...(bias ? [[one, exact(params[bias][e * F + f])] as const] : []),
      ]));
  const bias = kind.bias ? "inBias" : null;
  const hidden = kind.name === "swiglu"
    ? into("gate", null).map((gate, f) => dot([[activated(gate, "silu"), into("in", null)[f]]]))
    : into("in", bias).map((value) => activated(value, kind.activation));
  return Array.from({ length: D }, (_, d) =>
    dot([
      ...hidden.map((value, f) => [value, exact(params.out[(e * F + f) * D + d])] as const),
      ...(kind.bias ? [[one, exact(params.outBias[e * D + d])] as const] : []),
    ]));
}

async function readAll(params: Readonly<Record<string, Parameter>>): Promise<Record<string, Float32Array>> {
  const found: Record<string, Float32Array> = {};
  for (const [name, param] of Object.entries(params)) found[name] = await param.read() as Float32Array;
  return found;
}

function free(...all: readonly Readonly<Record<string, Parameter>>[]): void {
  for (const params of all) for (const param of Object.values(params)) backend.free(param.buffer);
}

for (const kind of kinds) {
  Deno.test(`experts equal plain loops: ${nameOf(kind)}`, async () => {
    using _scope = memory(backend);
    const sizes = { T: 11, D: 7, F: 9, E: 4, V: 1 };
    const bank = createBank(kind, sizes, normalInit(1));
    // Expert 1 has no rows, and two rows belong to nobody.
    const rows = [0, 0, 0, 2, 3, 3, 3, 3, 3, -1, -1];
    const x = random(2).normal(11 * 7);
    const token_N = tensor(backend, Int32Array.from(rows, (_, at) => at), [11]);
    const byExpert = groupBy(tensor(backend, Int32Array.from(rows), [11]), 4);
    const sorted = sortRows(tensor(backend, x, [11, 7]), assignmentsOf(token_N, 11, 1), byExpert);
    const y = await (await bank.apply({ rows: sorted, offset_O: byExpert.offset_O })).read();
    const params = await readAll(bank.params);
    rows.forEach((e, n) => {
      const row = [...y.subarray(n * 7, (n + 1) * 7)];
      if (e < 0) return assertEquals(row, new Array(7).fill(0));
      const want = expertByLoops(kind, sizes, params, e, [...x.subarray(n * 7, (n + 1) * 7)]);
      row.forEach((value, d) =>
        assertAlmostEquals(value, want[d].value, want[d].error, `row ${n}, column ${d}`)
      );
    });
    free(bank.params);
  });
}

/** A layer, its input and its routing. */
interface Made {
  readonly sizes: Sizes;
  readonly layer: MoeLayer;
  readonly x_TD: Parameter;
  apply(): Promise<{ y: Float32Array; routing: Routing }>;
  free(): void;
}

const sizes: Sizes = { T: 40, D: 12, F: 10, E: 4, V: 9 };
const tokenCount_V = Int32Array.from({ length: 9 }, (_, id) => 30 - 3 * id);

function make(
  plugin: AnyRouterPlugin,
  options: Record<string, unknown>,
  kind: Kind,
  { dims = sizes, init = normalInit(4), real = undefined as Float32Array | undefined } = {},
): Made {
  const { T, D, E, V } = dims;
  const router = plugin.create({ D, E, V, tokenCount_V }, parseOptions(plugin, options), init.part("router"));
  const experts = createBank(kind, dims, init.part("experts"));
  const layer = createMoeLayer({ D, E, router, experts });
  const x_TD = parameter(backend, random(3).normal(T * D), [T, D]);
  const id = Int32Array.from(random(5).uniform(T), (u) => Math.floor(V * u));
  return {
    sizes: dims,
    layer,
    x_TD,
    async apply() {
      const { y_TD, routing } = await layer.apply(x_TD, {
        training: true,
        step: 0,
        random: random(6),
        tokenId_T: tensor(backend, id, [T]),
        sequences: equalSequences(4, T / 4),
        ...(real ? { real_T: tensor(backend, real, [T]) } : {}),
      });
      return { y: await y_TD.read() as Float32Array, routing };
    },
    free: () => free(layer.params, { x_TD }),
  };
}

const tight: readonly (readonly [AnyRouterPlugin, Record<string, unknown>])[] = [
  [switchRouter, { capacityFactor: 0.6 }],
  [gshard, { capacityFactor: 0.6 }],
  [gshard, { capacityFactor: 0.6, second: "always", groups: 2 }],
];

for (const [plugin, options] of [...tight, [hash, {}] as const]) {
  for (const kind of kinds) {
    const title = `${plugin.name} ${JSON.stringify(options)}, ${nameOf(kind)}`;
    Deno.test(`the layer equals a loop over tokens, drops included: ${title}`, async () => {
      using _scope = memory(backend);
      const real = Float32Array.from({ length: sizes.T }, (_, t) => t % 10 < 8 ? 1 : 0);
      const made = make(plugin, options, kind, { real });
      const { T, D } = sizes;
      const { y, routing } = await made.apply();
      const [x, params] = [await made.x_TD.read(), await readAll(made.layer.experts.params)];
      const { token_N, expert_N, weight_N, wanted_N } = routing;
      const [token, expert, weight] = [await token_N.read(), await expert_N.read(), await weight_N.read()];
      const terms: (readonly [Bounded, Bounded])[][] = Array.from({ length: T * D }, () => []);
      const kept = new Array<number>(T).fill(0);
      expert.forEach((e, n) => {
        if (e < 0) return;
        const t = token[n];
        kept[t]++;
        expertByLoops(kind, sizes, params, e, [...x.subarray(t * D, (t + 1) * D)])
          .forEach((out, d) => terms[t * D + d].push([exact(weight[n]), out]));
      });
      for (let t = 0; t < T; t++) {
        for (let d = 0; d < D; d++) {
          const want = dot(terms[t * D + d]);
          // Nothing kept: the bound is 0, so the output must be exactly 0.
          assertAlmostEquals(y[t * D + d], want.value, want.error, `token ${t}, column ${d}`);
          if (kept[t] === 0) assertEquals(y[t * D + d], 0);
        }
      }
      const wanted = await wanted_N.read();
      const dropped = wanted.filter((e, n) => e >= 0 && expert[n] < 0).length;
      assert(
        plugin === hash ? dropped === 0 : dropped > 0,
        "nothing was dropped: the test shows less than it says",
      );
      assert(kept.some((count) => count > 0) && kept.some((count) => count === 0));
      made.free();
    });
  }
}

/** The first expert's numbers for all. */
const allEqual = (E: number) => (values: Float32Array, shape: readonly number[]) => {
  if (shape[0] !== E || shape.length < 2) return values;
  const each = values.length / E;
  return values.map((_, at) => values[at % each]);
};

for (
  const [plugin, options] of [
    [gshard, { capacityRule: "dropless", second: "always" }],
    [switchRouter, { capacityRule: "dropless", jitter: 0 }],
    [hash, {}],
  ] as const
) {
  for (const kind of kinds) {
    Deno.test(`experts all equal and nothing dropped is a dense layer: ${plugin.name}, ${nameOf(kind)}`, async () => {
      using _scope = memory(backend);
      const { T, D, E } = sizes;
      const made = make(plugin, options, kind, { init: normalInit(8, allEqual(E)) });
      const { y, routing } = await made.apply();
      const [x, params] = [await made.x_TD.read(), await readAll(made.layer.experts.params)];
      const [probability, weight] = [await routing.probability_TE?.read(), await routing.weight_N.read()];
      for (let t = 0; t < T; t++) {
        const dense = expertByLoops(kind, sizes, params, 0, [...x.subarray(t * D, (t + 1) * D)]);
        // Weights of GShard and hash add up to 1; Switch scales by its largest probability.
        const share = plugin === switchRouter ? Math.max(...probability!.subarray(t * E, (t + 1) * E)) : 1;
        const found = [...weight.subarray(t * routing.choices!, (t + 1) * routing.choices!)];
        assertAlmostEquals(found.reduce((sum, w) => sum + w, 0), share, 2 * EPSILON);
        dense.forEach(({ value, error }, d) => {
          const tolerance = share * error + 4 * EPSILON * (Math.abs(value) + error);
          assertAlmostEquals(y[t * D + d], share * value, tolerance, `token ${t}, column ${d}`);
        });
      }
      made.free();
    });
  }
}

/** The layer's output in f64 with its decisions held fixed, summed along a direction. */
function lossByLoops(
  { kind, dims, plugin, routed, direction }: {
    kind: Kind;
    dims: Sizes;
    plugin: AnyRouterPlugin;
    routed: {
      token: ArrayLike<number>;
      expert: ArrayLike<number>;
      wanted: ArrayLike<number>;
      choices: number;
    };
    direction: ArrayLike<number>;
  },
  values: Values,
): number {
  const { D, E } = dims;
  const { token, expert, wanted, choices } = routed;
  let loss = 0;
  for (let n = 0; n < expert.length; n++) {
    if (expert[n] < 0) continue;
    const t = token[n];
    const x = Array.from({ length: D }, (_, d) => values.x[t * D + d]);
    const power = Array.from(
      { length: E },
      (_, e) => Math.exp(x.reduce((sum, value, d) => sum + value * values["router.gate"][d * E + e], 0)),
    );
    const scores = plugin === gshard ? [0, 1].map((k) => power[wanted[t * choices + k]]) : power;
    const weight = power[expert[n]] / scores.reduce((sum, value) => sum + value, 0);
    const experts = Object.fromEntries(
      Object.entries(values).filter(([name]) => name.startsWith("experts."))
        .map(([name, held]) => [name.slice("experts.".length), held]),
    );
    expertByLoops(kind, dims, experts, expert[n], x).forEach(({ value }, d) => {
      loss += direction[t * D + d] * weight * value;
    });
  }
  return loss;
}

for (
  const [plugin, options] of [
    [switchRouter, { capacityFactor: 0.8, jitter: 0, balance: 0 }],
    [gshard, { capacityFactor: 0.8, second: "always", balance: 0 }],
  ] as const
) {
  // ReLU bends where a finite difference would step across; its gradient is checked as an op.
  for (const kind of kinds.filter(({ activation }) => activation !== "relu")) {
    Deno.test(`gradients through the layer equal finite differences: ${plugin.name}, ${nameOf(kind)}`, async () => {
      using _scope = memory(backend);
      const dims: Sizes = { T: 8, D: 4, F: 5, E: 3, V: 9 };
      const made = make(plugin, options, kind, { dims, init: normalInit(14) });
      const { layer, x_TD } = made;
      const params: Record<string, Parameter> = { x: x_TD, ...layer.params };
      const direction = random(15).normal(dims.T * dims.D);
      const { y_TD, routing } = await layer.apply(x_TD, {
        training: true,
        step: 0,
        random: random(6),
        tokenId_T: tensor(backend, new Int32Array(dims.T), [dims.T]),
        sequences: equalSequences(1, dims.T),
      });
      const loss = sumAll(multiply(y_TD, tensor(backend, direction, [dims.T, dims.D])));
      const found = await gradients(loss, Object.values(params));
      const routed = {
        token: await routing.token_N.read(),
        expert: await routing.expert_N.read(),
        wanted: await routing.wanted_N.read(),
        choices: routing.choices!,
      };
      assert(routed.expert.includes(-1), "nothing was dropped: the test shows less than it says");
      const values = await readAll(params);
      const inF64 = Object.fromEntries(
        Object.entries(values).map(([name, held]) => [name, Float64Array.from(held)]),
      );
      const step = 1e-4;
      for (const [at, name] of Object.keys(params).entries()) {
        const gradient = await found[at]!.read();
        const wanted = Array.from(gradient, (_, element) => {
          const shifted = (by: number) => {
            const moved = inF64[name].slice();
            moved[element] += by;
            return lossByLoops({ kind, dims, plugin, routed, direction }, { ...inF64, [name]: moved });
          };
          return (shifted(step) - shifted(-step)) / (2 * step);
        });
        // A gradient is a sum over assignments, hidden units, columns and experts; every term passes as many roundings,
        // and the terms' sizes add up to a few times the largest gradient. Differences err by step^2, about 1e-8.
        const roundings = routed.expert.length + 2 * dims.F + 2 * dims.D + dims.E + 20;
        const largest = Math.max(1, ...wanted.map(Math.abs));
        const tolerance = roundings * EPSILON * 8 * largest + 1e-6;
        gradient.forEach((value, element) =>
          assertAlmostEquals(value, wanted[element], tolerance, `${name}, element ${element}`)
        );
        assert(largest > 100 * tolerance, `the gradient of ${name} is lost in its tolerance`);
      }
      made.free();
    });
  }
}

Deno.test("the layer refuses rows of another width and sequences of another number of tokens", async () => {
  using _scope = memory(backend);
  const made = make(switchRouter, {}, kinds[0]);
  const step = (T: number, ...lengths: number[]) => ({
    training: false,
    step: 0,
    random: random(0),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: sequencesOf(lengths),
  });
  const x = (T: number, D: number) => tensor(backend, new Float32Array(T * D), [T, D]);
  await assertRejects(() => made.layer.apply(x(4, 5), step(4, 4)), RangeError, "D is 12");
  await assertRejects(
    () => made.layer.apply(x(4, 12), step(4, 2, 1)),
    RangeError,
    "Cannot apply the MoE layer: 4 tokens, and its sequences have 3 in all",
  );
  await assertRejects(() => made.layer.apply(x(4, 12), step(5, 5)), RangeError, "T is 4");
  made.free();
});

Deno.test("a load report by hand", () => {
  const load = loadOf({
    E: 4,
    // Five tokens with two choices: the third is padding, the fourth wanted no second.
    wanted_N: Int32Array.of(0, 1, 0, 2, -1, -1, 1, -1, 0, 1),
    expert_N: Int32Array.of(0, 1, 0, 2, -1, -1, 1, -1, -1, -1),
    choices: 2,
    gateEntropy: 0.5,
  });
  assertEquals(load.wanted, [3, 3, 1, 0]);
  assertEquals(load.kept, [2, 2, 1, 0]);
  assertEquals(load.droppedShare, 2 / 7);
  assertEquals(load.droppedShareByChoice, [1 / 4, 1 / 3]);
  assertEquals(load.gateEntropy, 0.5);
  assertEquals(load.deadExperts, 1);
  assertAlmostEquals(load.maxOverMean, 3 / (7 / 4), 1e-15);
  // Mean 1.75; squares of 1.25, 1.25, 0.75 and 1.75 add up to 6.75.
  assertAlmostEquals(load.coefficientOfVariation, Math.sqrt(6.75 / 4) / 1.75, 1e-15);
  const entropy = -(6 / 7 * Math.log(3 / 7) + 1 / 7 * Math.log(1 / 7));
  assertAlmostEquals(load.loadEntropy, entropy / Math.log(4), 1e-15);
});

Deno.test("a load report of nothing, of one expert, and where experts choose", () => {
  const report = (values: Partial<RoutingValues>) =>
    loadOf({
      E: 2,
      wanted_N: Int32Array.of(-1, -1),
      expert_N: Int32Array.of(-1, -1),
      choices: 1,
      gateEntropy: null,
      ...values,
    });
  const nothing = report({});
  assertEquals([nothing.wanted, nothing.kept, nothing.droppedShareByChoice], [[0, 0], [0, 0], [0]]);
  assertEquals([nothing.droppedShare, nothing.coefficientOfVariation, nothing.maxOverMean], [0, 0, 0]);
  assertEquals([nothing.loadEntropy, nothing.deadExperts, nothing.gateEntropy], [1, 2, null]);
  const single = report({ E: 1, wanted_N: Int32Array.of(0, 0), expert_N: Int32Array.of(0, -1) });
  assertEquals([single.loadEntropy, single.maxOverMean, single.droppedShare], [1, 1, 0.5]);
  const both = Int32Array.of(0, 0, 1, 1);
  const chosen = report({ wanted_N: both, expert_N: both, choices: null });
  assertEquals([chosen.droppedShareByChoice, chosen.loadEntropy], [[0], 1]);
});

for (const [plugin, options] of tight) {
  Deno.test(`a load report with padding equals counts by loops: ${plugin.name} ${JSON.stringify(options)}`, async () => {
    using _scope = memory(backend);
    const { T, E } = sizes;
    const length = T / 4;
    const real = Float32Array.from({ length: T }, (_, t) => t % length < 7 ? 1 : 0);
    const made = make(plugin, options, kinds[0], { real });
    const { routing } = await made.apply();
    const values: RoutingValues = {
      E,
      wanted_N: await routing.wanted_N.read() as Int32Array,
      expert_N: await routing.expert_N.read() as Int32Array,
      choices: routing.choices,
      gateEntropy: null,
    };
    const token = await routing.token_N.read() as Int32Array;
    const [wanted, kept] = [new Array<number>(E).fill(0), new Array<number>(E).fill(0)];
    const [wantedAt, droppedAt] = [new Array<number>(length).fill(0), new Array<number>(length).fill(0)];
    let dropped = 0;
    for (let t = 0; t < T; t++) {
      if (real[t] === 0) continue;
      for (let n = 0; n < token.length; n++) {
        if (token[n] !== t || values.wanted_N[n] < 0) continue;
        wanted[values.wanted_N[n]]++;
        wantedAt[t % length]++;
        if (values.expert_N[n] >= 0) kept[values.expert_N[n]]++;
        else {
          dropped++;
          droppedAt[t % length]++;
        }
      }
    }
    const load = loadOf(values);
    assertEquals([load.wanted, load.kept], [wanted, kept]);
    assertEquals(load.droppedShare, dropped / wanted.reduce((sum, count) => sum + count));
    assert(dropped > 0);
    const counts = { wanted: new Float64Array(length), dropped: new Float64Array(length) };
    countDropsByPosition(values, token, equalSequences(4, length), counts);
    assertThrows(
      () => countDropsByPosition(values, token, equalSequences(1, T), counts),
      RangeError,
      `a sequence has ${T} tokens, there is room for ${length}`,
    );
    assertEquals([[...counts.wanted], [...counts.dropped]], [wantedAt, droppedAt]);
    made.free();
  });
}

Deno.test("gate entropy: log E where even, 0 where sure, and padding does not count", async () => {
  using _scope = memory(backend);
  const rows = (values: number[]) => tensor(backend, values, [values.length / 4, 4]);
  const even = [0.25, 0.25, 0.25, 0.25];
  const sure = [0, 1, 0, 0];
  assertAlmostEquals(await scalar(gateEntropy(rows([...even, ...even]))), Math.log(4), 8 * EPSILON);
  assertEquals(await scalar(gateEntropy(rows(sure))), 0);
  assertAlmostEquals(await scalar(gateEntropy(rows([...even, ...sure]))), Math.log(4) / 2, 8 * EPSILON);
  const mask = (values: number[]) => tensor(backend, values, [values.length]);
  assertAlmostEquals(
    await scalar(gateEntropy(rows([...even, ...sure]), mask([1, 0]))),
    Math.log(4),
    8 * EPSILON,
  );
  assertEquals(await scalar(gateEntropy(rows([...even, ...sure]), mask([0, 0]))), 0);
});
