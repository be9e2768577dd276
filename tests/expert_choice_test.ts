// Expert choice against plain loops, its exact capacity, and the capped plan against what makes a plan the best one.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { cappedPlan, expertChoice } from "../routers/expert_choice.ts";
import { parseOptions } from "../routers/registry.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { tensor } from "../tensor/tensor.ts";
import { best, givenInit, identity, routeOnce, rowsOf, softmax64 } from "./route_once.ts";

const backend = await cpu({ threads: 1 });

Deno.test("each expert takes exactly n c / e tokens, the best by softmax over experts, weighted by it", async () => {
  for (const [T, E, c, C] of [[48, 8, 2, 12], [50, 8, 2, 12], [50, 8, 1, 6], [7, 4, 2, 3], [5, 2, 2, 5]]) {
    using _scope = memory(backend);
    const x = Array.from(random(T).normal(T * E));
    const options = { capacityFactor: c };
    const batch = { x, D: E, E, given: { gate: identity(E) }, options, training: true };
    const found = await routeOnce(backend, expertChoice, batch);
    assertEquals(found.token.length, E * C);
    const probability = rowsOf(x, E).map(softmax64);
    for (let e = 0; e < E; e++) {
      const column = probability.map((row) => row[e]);
      assertEquals(found.token.slice(e * C, (e + 1) * C), best(column, C));
      assertEquals(found.expert.slice(e * C, (e + 1) * C), new Array(C).fill(e));
      found.weight.slice(e * C, (e + 1) * C).forEach((weight, at) =>
        assertAlmostEquals(weight, column[found.token[e * C + at]], 1e-6)
      );
    }
  }
});

Deno.test("padding makes no room and takes none; tokens without a score are left out", async () => {
  using _scope = memory(backend);
  const [T, E] = [16, 4];
  const x = Array.from(random(1).normal(T * E));
  const real = Array.from({ length: T }, (_, t) => t % 4 === 3 ? 0 : 1);
  const padded = await routeOnce(backend, expertChoice, { x, D: E, E, given: { gate: identity(E) }, real });
  // 12 real tokens, c = 2, 4 experts: 6 each, of the 8 slots that 16 tokens would fill.
  for (let e = 0; e < E; e++) assertEquals(padded.expert.filter((expert) => expert === e).length, 6);
  padded.token.forEach((token, n) => assert(padded.expert[n] === -1 || real[token] === 1));
  const broken = x.slice();
  broken[5 * E] = NaN;
  const found = await routeOnce(backend, expertChoice, {
    x: broken,
    D: E,
    E,
    given: { gate: identity(E) },
    options: { capacityRule: "dropless" },
  });
  for (let e = 0; e < E; e++) assertEquals(found.expert.filter((expert) => expert === e).length, T - 1);
  found.token.forEach((token, n) => assertEquals(found.expert[n] === -1, token === 5));
});

Deno.test("the capped plan keeps its sums, and no other plan is better", async () => {
  using _scope = memory(backend);
  const [E, T, C, cap, lambda] = [4, 10, 4, 2, 0.05];
  // Every expert likes the same tokens.
  const liked = Array.from({ length: T }, (_, t) => t < 4 ? 0.5 : 0);
  const score = Array.from(random(2).uniform(E * T), (u, at) => 0.3 * u + liked[at % T]);
  const plan = await cappedPlan(tensor(backend, score, [E, T]), tensor(backend, [C], [1]), {
    cap,
    lambda,
    iterations: 3000,
  }).read();
  const A = rowsOf([...plan].map(Math.exp), T);
  const column = (t: number) => A.reduce((sum, row) => sum + row[t], 0);
  for (const row of A) assertAlmostEquals(row.reduce((a, b) => a + b, 0), C, 1e-4);
  for (let t = 0; t < T; t++) assert(column(t) <= cap + 1e-4, `token ${t} has ${column(t)}`);
  for (const row of A) for (const value of row) assert(value >= 0 && value <= 1 + 1e-6);
  // Optimality (Karush-Kuhn-Tucker): S / lambda - log A = u_e + v_t + w_et, where v_t >= 0 is 0 unless column t is full,
  // and w_et >= 0 is 0 unless A_et is 1.
  const price = (e: number, t: number) => score[e * T + t] / lambda - plan[e * T + t];
  const free = Array.from({ length: T }, (_, t) => t).filter((t) => column(t) < cap - 1e-3);
  assert(free.length > 0 && free.length < T, "some columns are full, some are not");
  for (let e = 0; e < E; e++) {
    const u = Math.min(...free.map((t) => price(e, t)));
    for (const t of free) {
      const w = price(e, t) - u;
      if (A[e][t] < 1 - 1e-3) assertAlmostEquals(w, 0, 2e-3);
      else assert(w > -2e-3);
    }
  }
  const level = (e: number) => Math.min(...free.map((t) => price(e, t)));
  for (let t = 0; t < T; t++) {
    const v = A.map((_, e) => price(e, t) - level(e));
    const inner = v.filter((_, e) => A[e][t] < 1 - 1e-3);
    assert(v.every((value) => value > -2e-3));
    if (inner.length > 0) assert(Math.max(...inner) - Math.min(...inner) < 4e-3, `column ${t} has one price`);
  }
});

Deno.test("a cap spreads tokens that every expert likes; one without room is refused", async () => {
  using _scope = memory(backend);
  const [T, E] = [64, 8];
  // Half of the tokens belong to expert 0, so that all other experts are after the other half.
  const x = Array.from(random(4).normal(T * E), (value, at) => at % (2 * E) === 0 ? 6 : value);
  const counts = async (options: Record<string, unknown>) => {
    const { token } = await routeOnce(backend, expertChoice, {
      x,
      D: E,
      E,
      given: { gate: identity(E) },
      options,
    });
    const found = new Array<number>(T).fill(0);
    token.forEach((t) => found[t]++);
    return found;
  };
  // The cap bounds the plan; taking the C largest entries of each row rounds it, and may pass the cap here and there.
  const excess = (found: readonly number[]) => found.reduce((sum, count) => sum + Math.max(0, count - 3), 0);
  const [free, capped] = [await counts({}), await counts({ cap: 3, lambda: 0.01 })];
  assert(excess(free) >= 15, `without a cap, ${excess(free)} experts too many`);
  assert(excess(capped) <= excess(free) / 3, `with a cap of 3, ${excess(capped)} of ${excess(free)}`);
  assertThrows(
    () =>
      expertChoice.create(
        { D: 2, E: 4, V: 9 },
        parseOptions(expertChoice, { cap: 1 }),
        givenInit(backend, {}),
      ),
    RangeError,
    "cap = 1 leaves no room for 2",
  );
});
