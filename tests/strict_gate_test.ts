// Strictly balanced gating (Shazeer et al. 2017, appendix F) against its equations in f64: equal loads in training, learned
// thresholds in evaluation, and a loss that is 0 exactly where both choose alike.
import { assert, assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { noisyTopKRouter } from "../routers/noisy_top_k.ts";
import { batchwiseLoss } from "../routers/parts/strict_gate.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { type Parameter, parameter, tensor } from "../tensor/tensor.ts";
import { makeRouter, routeOnce, rowsOf, softmax64 } from "./route_once.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

const [T, D, E, k] = [24, 6, 4, 2];
const options = { gating: "strict", k };
const x = random(1).normal(T * D);
const gate = random(2).normal(D * E);
const given = { gate, threshold: [0.2, 0.25, 0.3, 0.35] };
const batch = { x, D, E, given, options };

/** Equation 15. */
function softmaxGates(values: Float32Array = x): number[][] {
  return rowsOf([...values], D).map((row) =>
    softmax64(Array.from({ length: E }, (_, e) => row.reduce((sum, v, d) => sum + v * gate[d * E + e], 0)))
  );
}

/** Equation 18: 1 for the m largest of each column, ties to the earlier token. */
function batchwiseMask(gates: readonly (readonly number[])[], m: number): number[][] {
  const mask = gates.map((row) => row.map(() => 0));
  for (let e = 0; e < E; e++) {
    const order = gates.map((_, t) => t).sort((a, b) => gates[b][e] - gates[a][e] || a - b);
    for (const t of order.slice(0, m)) mask[t][e] = 1;
  }
  return mask;
}

/** Equation 16. */
function weights(gates: readonly (readonly number[])[], mask: readonly (readonly number[])[]): number[][] {
  return gates.map((row, t) => {
    const sum = row.reduce((all, value, e) => all + value * mask[t][e], 0);
    return row.map((value, e) => mask[t][e] ? value / sum : 0);
  });
}

/** Weights by token and expert, from assignments in any layout. */
function dense({ token, expert, weight }: Awaited<ReturnType<typeof routeOnce>>): number[][] {
  const found = Array.from({ length: T }, () => new Array<number>(E).fill(0));
  token.forEach((t, n) => {
    if (expert[n] >= 0) found[t][expert[n]] = weight[n];
  });
  return found;
}

function assertNear(found: readonly (readonly number[])[], wanted: readonly (readonly number[])[]): void {
  // A dozen roundings of the product, the softmax and the division, on numbers of at most 1.
  found.forEach((row, t) =>
    row.forEach((value, e) => assertAlmostEquals(value, wanted[t][e], 12 * 2 ** -24))
  );
}

Deno.test("training: every expert takes its m best tokens, weighted over those that took the token", async () => {
  using _scope = memory(backend);
  const gates = softmaxGates();
  for (const k of [1, 2]) {
    const given = { ...batch, options: { ...options, k }, training: true };
    const routed = await routeOnce(backend, noisyTopKRouter, given);
    const mask = batchwiseMask(gates, k * T / E);
    const wanted = weights(gates, mask);
    assertNear(dense(routed), wanted);
    const loads = Array.from({ length: E }, (_, e) => routed.expert.filter((one) => one === e).length);
    assertEquals(loads, new Array(E).fill(k * T / E));
    if (k === 1) assert(mask.some((row) => !row.includes(1)), "nobody leaves a token out");
    const importance = Array.from({ length: E }, (_, e) => wanted.reduce((sum, row) => sum + row[e], 0));
    const mean = importance.reduce((a, b) => a + b) / E;
    const variance = importance.reduce((sum, value) => sum + (value - mean) ** 2, 0) / E;
    assertAlmostEquals(routed.losses.importance, 0.1 * variance / mean ** 2, 1e-6);
    assertEquals(Object.keys(routed.losses), ["importance", "batchwise"]);
  }
});

Deno.test("m is rounded down, counts real tokens, and is at least 1", async () => {
  using _scope = memory(backend);
  const loads = async (real: (t: number) => boolean, k: number) => {
    const { expert } = await routeOnce(backend, noisyTopKRouter, {
      ...batch,
      options: { ...options, k },
      training: true,
      real: Array.from({ length: T }, (_, t) => Number(real(t))),
    });
    return Array.from({ length: E }, (_, e) => expert.filter((one) => one === e).length);
  };
  assertEquals(await loads((t) => t % 2 === 0, 1), [3, 3, 3, 3]);
  assertEquals(await loads((t) => t < 11, 1), [2, 2, 2, 2]);
  assertEquals(await loads((t) => t < 11, 3), [8, 8, 8, 8]);
  assertEquals(await loads((t) => t < 2, 1), [1, 1, 1, 1]);
  assertEquals(await loads(() => false, 1), [0, 0, 0, 0]);
});

Deno.test("evaluation: a token goes to the experts whose threshold its gate is above, whoever comes later", async () => {
  using _scope = memory(backend);
  const routed = await routeOnce(backend, noisyTopKRouter, batch);
  const gates = softmaxGates();
  const mask = gates.map((row) => row.map((value, e) => Number(value > given.threshold[e])));
  assertNear(dense(routed), weights(gates, mask));
  const counts = mask.map((row) => row.reduce((a, b) => a + b, 0));
  assert(new Set(counts).size > 1, `tokens have ${counts} experts`);
  const later = x.map((value, at) => at < 12 * D ? value : -value);
  const changed = dense(await routeOnce(backend, noisyTopKRouter, { ...batch, x: later }));
  assertEquals(changed.slice(0, 12), dense(routed).slice(0, 12));
  assertNotEquals(changed.slice(12), dense(routed).slice(12));
});

Deno.test("the loss is equation 20 a token, its gradient to thresholds the difference of the masks, and no other", async () => {
  using _scope = memory(backend);
  const gates = softmaxGates();
  const mask = batchwiseMask(gates, 12);
  const real = Array.from({ length: T }, (_, t) => Number(t % 5 !== 4));
  for (const real_T of [undefined, tensor(backend, real, [T])]) {
    const counted = (t: number) => real_T ? real[t] : 1;
    const tokens = real_T ? real.reduce((a, b) => a + b) : T;
    const difference = (t: number, e: number) =>
      counted(t) * (Number(gates[t][e] > given.threshold[e]) - mask[t][e]);
    let wanted = 0;
    gates.forEach((row, t) => row.forEach((g, e) => wanted += difference(t, e) * (g - given.threshold[e])));
    const threshold = parameter(backend, Float32Array.from(given.threshold), [E]);
    const gates_TE = parameter(backend, Float32Array.from(gates.flat()), [T, E]);
    const loss = batchwiseLoss(gates_TE, threshold, tensor(backend, mask.flat(), [T, E]), real_T);
    assertAlmostEquals(await scalar(loss), wanted / tokens, 1e-6);
    const [gradient, none] = await gradients(loss, [threshold, gates_TE]);
    assertEquals(none, null);
    (await gradient!.read()).forEach((value, e) =>
      assertAlmostEquals(value, -gates.reduce((sum, _, t) => sum + difference(t, e), 0) / tokens, 1e-6)
    );
    for (const { buffer } of [threshold, gates_TE]) backend.free(buffer);
  }
});

Deno.test("the loss is nowhere below 0, and 0 where both masks are one", async () => {
  using _scope = memory(backend);
  const gates = softmaxGates();
  const mask = batchwiseMask(gates, 12);
  const lossAt = async (thresholds: readonly number[]) => {
    const threshold = parameter(backend, Float32Array.from(thresholds), [E]);
    const gates_TE = tensor(backend, gates.flat(), [T, E]);
    const loss = await scalar(
      batchwiseLoss(gates_TE, threshold, tensor(backend, mask.flat(), [T, E]), undefined),
    );
    backend.free(threshold.buffer);
    return loss;
  };
  for (let at = 0; at < 50; at++) assert(await lossAt([...random(at).uniform(E)]) > 0);
  const between = Array.from({ length: E }, (_, e) => {
    const column = gates.map((row) => row[e]).sort((a, b) => b - a);
    return (column[11] + column[12]) / 2;
  });
  assertEquals(await lossAt(between), 0);
});

Deno.test("trained, thresholds take in evaluation the tokens that experts take in training", async () => {
  const router = await makeRouter(backend, noisyTopKRouter, { ...batch, given: { gate } });
  const threshold = router.params.threshold as Parameter;
  assertEquals([...await threshold.read()], new Array(E).fill(1 / E));
  for (let step = 0; step < 400; step++) {
    using _scope = memory(backend);
    const { routing } = await routeOnce(backend, noisyTopKRouter, { ...batch, training: true }, router);
    const [gradient] = await gradients(routing.losses.batchwise, [threshold]);
    const [now, slope] = [await threshold.read(), await gradient!.read()];
    threshold.assign(tensor(backend, now.map((value, e) => value - 0.02 * slope[e]), [E]));
  }
  using _scope = memory(backend);
  const trained = dense(await routeOnce(backend, noisyTopKRouter, { ...batch, training: true }, router));
  const judged = dense(await routeOnce(backend, noisyTopKRouter, batch, router));
  const differ = judged.flatMap((row, t) => row.filter((w, e) => (w > 0) !== (trained[t][e] > 0)));
  // Plain descent by 0.02 / T a token ends within a step of the last token on the wrong side.
  assert(differ.length <= E, `${differ.length} of ${T * E} choices differ`);
  for (const param of Object.values(router.params)) backend.free(param.buffer);
});
