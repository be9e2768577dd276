// Soft MoE through the whole layer: against plain loops, its gradients against finite differences, and that it is what
// its trait says, not causal.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { parseOptions } from "../routers/registry.ts";
import { soft } from "../routers/soft.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { type Parameter, parameter, tensor } from "../tensor/tensor.ts";
import { givenInit, rowsOf, softmax64 } from "./route_once.ts";

const backend = await cpu({ threads: 1 });
const [B, L, D, F, E, S] = [3, 4, 5, 6, 2, 3];
const [T, M] = [B * L, E * S];

const values = {
  x: random(1).normal(T * D),
  slots: random(2).normal(D * M),
  scale: Float32Array.of(1.7),
  in: random(3).normal(E * D * F),
  out: random(4).normal(E * F * D),
};
type Values = typeof values;

async function layerOf(given: Values, real?: readonly number[]) {
  const router = await soft.create(
    { D, E, V: 9 },
    parseOptions(soft, { slots: S }),
    givenInit(backend, { slots: given.slots, scale: given.scale }),
  );
  const init = createInit(backend, random(0));
  const bank = feedForward.create({ D, F, E }, feedForward.options.parse({ activation: "gelu" }), {
    ...init,
    parameter: (name, shape) => parameter(backend, given[name as "in" | "out"], shape),
  });
  const x = parameter(backend, given.x, [T, D]);
  const layer = createMoeLayer({ D, E, router, experts: bank });
  const output = await layer.apply(x, {
    training: true,
    step: 0,
    random: random(0),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(B, L),
    ...(real ? { real_T: tensor(backend, Float32Array.from(real), [T]) } : {}),
  });
  const params: Record<keyof Values, Parameter> = {
    x,
    slots: router.params.slots,
    scale: router.params.scale,
    in: bank.params.in,
    out: bank.params.out,
  };
  return { output, params };
}

const unit = (row: readonly number[]) => {
  const size = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) + 1e-6);
  return row.map((value) => value / size);
};
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, at) => sum + value * b[at], 0);

/** Equations 1 to 3 in plain loops. */
function plain(given: Values, real: readonly number[]): number[] {
  const x = rowsOf([...given.x], D);
  const column = (m: number) => Array.from({ length: D }, (_, d) => given.slots[d * M + m]);
  const gelu = (h: number) => {
    // x Phi(x) with Phi by its series.
    let sum = 0;
    for (let n = 1, term = h; Math.abs(term) > 1e-17; n += 2, term *= h * h / n) sum += term;
    return h * (0.5 + Math.exp(-h * h / 2) / Math.sqrt(2 * Math.PI) * sum);
  };
  const expert = (e: number, row: readonly number[]) => {
    const hidden = Array.from(
      { length: F },
      (_, f) => gelu(row.reduce((sum, value, d) => sum + value * given.in[(e * D + d) * F + f], 0)),
    );
    return Array.from(
      { length: D },
      (_, d) => hidden.reduce((sum, value, f) => sum + value * given.out[(e * F + f) * D + d], 0),
    );
  };
  const y: number[] = [];
  for (let b = 0; b < B; b++) {
    const tokens = Array.from({ length: L }, (_, l) => b * L + l);
    const logits = tokens.map((t) =>
      Array.from({ length: M }, (_, m) => dot(unit(x[t]), unit(column(m))) * given.scale[0])
    );
    const slots = Array.from({ length: M }, (_, m) => {
      const dispatch = softmax64(logits.map((row, l) => real[tokens[l]] ? row[m] : -Infinity));
      const mixed = Array.from({ length: D }, (_, d) => dot(dispatch, tokens.map((t) => x[t][d])));
      return expert(Math.floor(m / S), mixed);
    });
    tokens.forEach((t, l) => {
      const combine = softmax64(logits[l]);
      for (let d = 0; d < D; d++) y.push(real[t] ? dot(combine, slots.map((slot) => slot[d])) : 0);
    });
  }
  return y;
}

Deno.test("soft routing is plain loops over its equations, with padding and without", async () => {
  for (const real of [new Array<number>(T).fill(1), [1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1]]) {
    using _scope = memory(backend);
    const { output } = await layerOf(values, real);
    const found = await output.y_TD.read();
    plain(values, real).forEach((want, at) => assertAlmostEquals(found[at], want, 2e-5));
  }
});

Deno.test("gradients reach tokens, slots, scale and experts, and equal finite differences", async () => {
  const direction = random(9).normal(T * D);
  const lossOf = async (given: Values) => {
    using _scope = memory(backend);
    const { output } = await layerOf(given);
    const y = await output.y_TD.read();
    return [...y].reduce((sum, value, at) => sum + value * direction[at], 0);
  };
  using _scope = memory(backend);
  const { output, params } = await layerOf(values);
  const loss = sumAll(multiply(output.y_TD, tensor(backend, direction, [T, D])));
  const names = Object.keys(params) as (keyof Values)[];
  const found = await gradients(loss, names.map((name) => params[name]));
  assertAlmostEquals(await scalar(loss), await lossOf(values), 1e-4);
  for (const [at, name] of names.entries()) {
    const gradient = await found[at]!.read();
    for (let element = 0; element < values[name].length; element += name === "scale" ? 1 : 7) {
      const shifted = (by: number) => {
        const moved = values[name].slice();
        moved[element] += by;
        return lossOf({ ...values, [name]: moved });
      };
      const step = 1e-2;
      const want = (-await shifted(2 * step) + 8 * await shifted(step) - 8 * await shifted(-step) +
        await shifted(-2 * step)) / (12 * step);
      assertAlmostEquals(gradient[element], want, 5e-3 * Math.max(1, Math.abs(want)), `${name} ${element}`);
    }
  }
});

Deno.test("a later token changes what earlier ones of its sequence get, and nothing in other sequences", async () => {
  using _scope = memory(backend);
  const changed = values.x.slice();
  for (let d = 0; d < D; d++) changed[(2 * L - 1) * D + d] += 1; // the last token of the second sequence
  const before = rowsOf([...await (await layerOf(values)).output.y_TD.read()], D);
  const after = rowsOf([...await (await layerOf({ ...values, x: changed })).output.y_TD.read()], D);
  before.forEach((row, t) => {
    const sameSequence = Math.floor(t / L) === 1;
    assertEquals(row.some((value, d) => value !== after[t][d]), sameSequence, `token ${t}`);
  });
  assert(!soft.traits.causal);
});

Deno.test("reports name the tokens that weigh most; slots that would change the cost are refused", async () => {
  using _scope = memory(backend);
  const { output: { routing } } = await layerOf(values);
  const expert = [...await routing.expert_N.read()];
  assertEquals(expert, Array.from({ length: E * B * S }, (_, n) => Math.floor(n / (B * S))));
  const dispatch = [...await routing.mixture!.parts[0].dispatch_BML.read()];
  const mass = (t: number, e: number) =>
    Array.from({ length: S }, (_, s) => dispatch[(Math.floor(t / L) * M + e * S + s) * L + t % L])
      .reduce((a, b) => a + b, 0);
  const token = [...await routing.token_N.read()];
  for (let e = 0; e < E; e++) {
    const chosen = token.slice(e * B * S, (e + 1) * B * S);
    const rest = Array.from({ length: T }, (_, t) => t).filter((t) => !chosen.includes(t));
    const least = Math.min(...chosen.map((t) => mass(t, e)));
    assert(rest.every((t) => mass(t, e) <= least + 1e-6));
  }
  const make = (length: number, options: Record<string, unknown>) => () =>
    soft.create({ D, E, V: 9, length }, parseOptions(soft, options), givenInit(backend, {}));
  assertThrows(
    make(8, { slots: 1 }),
    RangeError,
    "1 slots for each of 2 experts are not 1 per token in sequences of 8",
  );
  assertThrows(make(7, {}), RangeError, "4 slots for each of 2 experts");
  make(8, {})();
});
