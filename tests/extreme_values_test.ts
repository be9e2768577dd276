// Overflow, underflow and exact zeros: values and gradients are those of f64 where f32 would lose them on the way.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import { zLoss } from "../routers/parts/losses.ts";
import { findRouter } from "../routers/registry.ts";
import { gelu, normalCdf, sigmoid, silu, softplus } from "../tensor/activations.ts";
import { add } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { crossEntropy, logsumexp, softmax, sumAll } from "../tensor/reduce.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import { type Parameter, parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { attention } from "../tensor/transformer.ts";
import { vocabularyLoss } from "../tensor/vocabulary_loss.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { makeRouter, routeOnce } from "./route_once.ts";

const onGpu = openGpu();

/** A test on both backends. */
function onBoth(name: string, body: (backend: Backend) => Promise<void>): void {
  Deno.test(`${name}, on the CPU`, async () => {
    const backend = await cpu({ threads: 1 });
    {
      using _scope = memory(backend);
      await body(backend);
    }
    backend.close();
  });
  gpuTest(`${name}, on WebGPU`, async () => {
    const backend = await onGpu();
    using _scope = memory(backend);
    await body(backend);
  });
}

async function slopes(y: Tensor, ...of: Parameter[]): Promise<number[][]> {
  const found = await gradients(sumAll(y), of);
  return await Promise.all(found.map(async (each) => [...await each!.read()]));
}

/** Each value within `relative` of what is wanted, and exact where that is 0, infinite or NaN. */
function assertClose(found: Iterable<number>, wanted: readonly number[], relative: number): void {
  const values = [...found];
  assertEquals(values.length, wanted.length);
  values.forEach((value, at) => {
    if (wanted[at] === 0 || !Number.isFinite(wanted[at])) {
      assertEquals(value + 0, wanted[at] + 0, `place ${at} of ${values}`);
    } else assertAlmostEquals(value, wanted[at], relative * Math.abs(wanted[at]), `place ${at} of ${values}`);
  });
}

const ends = [Infinity, -Infinity, 40, -40, 3e38, -3e38];
const one = (x: number) => x > 0 ? 1 : 0;
const functions: readonly (readonly [string, (x: Tensor) => Tensor, readonly number[], readonly number[]])[] =
  [
    ["normalCdf", normalCdf, ends.map(one), ends.map(() => 0)],
    ["gelu", gelu, ends.map((x) => x > 0 ? x : 0), ends.map(one)],
    ["silu", silu, ends.map((x) => x > 0 ? x : x === -40 ? -1.699341704e-16 : 0), [
      1,
      0,
      1,
      -1.656858162e-16,
      1,
      0,
    ]],
    ["sigmoid", sigmoid, [1, 0, 1, 4.248354255e-18, 1, 0], [0, 0, 4.248354255e-18, 4.248354255e-18, 0, 0]],
    ["softplus", softplus, [Infinity, 0, 40, 4.248354255e-18, 3e38, 0], [1, 0, 1, 4.248354255e-18, 1, 0]],
  ];
for (const [name, apply, values, derivatives] of functions) {
  onBoth(`${name} and its derivative have their limits at the ends of f32`, async (backend) => {
    const x = parameter(backend, Float32Array.from(ends), [ends.length]);
    const y = apply(x);
    assertClose(await y.read(), values.map(Math.fround), 1e-6);
    const [found] = await slopes(y, x);
    assertClose(found, derivatives, 1e-6);
  });
}

/** Scores that f32 holds exactly at an offset of 1e8, where numbers are 8 apart, and what softmax makes of them. */
const scores = [0, 8, -16, 24, 16, 8];
const shares = [scores.slice(0, 3), scores.slice(3)].map((row) => {
  const powers = row.map((score) => Math.exp(score - Math.max(...row)));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
});

onBoth("a common offset of 1e8 on logits changes no share, no loss and no gradient", async (backend) => {
  const x = parameter(backend, Float32Array.from(scores, (score) => score + 1e8), [2, 3]);
  assertClose(await softmax(x).read(), shares.flat(), 2e-6);
  assertClose((await slopes(logsumexp(x), x))[0], shares.flat(), 2e-6);
  const target = tensor(backend, Int32Array.of(0, 2), [2]);
  const loss = crossEntropy(x, target);
  assertClose(await loss.read(), [-Math.log(shares[0][0]), -Math.log(shares[1][2])], 2e-6);
  const wanted = shares.flat().map((share, at) => share - (at === 0 || at === 5 ? 1 : 0));
  assertClose((await slopes(loss, x))[0], wanted, 2e-6);
  // The z-loss is of the logits' own size; its direction is that of the shares.
  const slope = 2 * Math.fround(1e8 + 8) / 2;
  const [ofZ] = await slopes(zLoss(x), x);
  assertClose(ofZ.slice(0, 3), shares[0].map((share) => slope * share), 2e-6);
});

onBoth("the loss over a vocabulary has the gradients of scores of 1e7", async (backend) => {
  const x = parameter(backend, Float32Array.of(1e7, 1), [1, 2]);
  const weight = parameter(backend, Float32Array.of(1, 0, 1, 1, 1, 2), [3, 2]);
  const loss = vocabularyLoss(x, weight, tensor(backend, Int32Array.of(1), [1]));
  const powers = [1, Math.E, Math.E ** 2];
  const sum = powers[0] + powers[1] + powers[2];
  assertClose(await loss.read(), [Math.log(sum / Math.E)], 2e-6);
  const [, ofWeight] = await slopes(loss, x, weight);
  const slope = powers.map((power, at) => power / sum - (at === 1 ? 1 : 0));
  assertClose(ofWeight, slope.flatMap((each) => [each * 1e7, each]), 2e-6);
});

for (const width of [4, 64]) {
  onBoth(
    `attention over scores of 4e6 has f64's results and gradients, heads ${width} wide`,
    async (backend) => {
      // Products and sums that f32 holds exactly; the scale is a power of 2.
      const T = 5;
      const at = (row: number, column: number, first: number, second: (row: number) => number) =>
        column === 0 ? first : column === 1 ? second(row) : 0;
      const make = (first: number, second: (row: number) => number) =>
        Float32Array.from(
          { length: T * width },
          (_, i) => at(Math.floor(i / width), i % width, first, second),
        );
      const arrays = [
        make(2048, () => 1),
        make(4096, (row) => row % 3),
        make(0.5, (row) => row - 2),
      ];
      const [q, k, v] = arrays.map((values) => parameter(backend, values, [T, width]));
      const o = attention(q, k, v, { sequences: sequencesOf([T]), heads: 1 });
      const scale = 1 / Math.sqrt(width);
      const weights = Array.from({ length: T }, (_, t) => {
        const row = Array.from({ length: t + 1 }, (_, u) => (u % 3) * scale);
        const powers = row.map((score) => Math.exp(score - Math.max(...row)));
        const sum = powers.reduce((a, b) => a + b);
        return powers.map((power) => power / sum);
      });
      const second = weights.map((row) => row.reduce((sum, weight, u) => sum + weight * (u - 2), 0));
      const found = [...await o.read()];
      second.forEach((value, t) => assertAlmostEquals(found[t * width + 1], value, 1e-5));
      const [ofQ, ofK, ofV] = await slopes(o, q, k, v);
      // The loss sums all columns: through = 0.5 + (u - 2), and its mean is what o sums to.
      weights.forEach((row, t) => {
        const mean = 0.5 + second[t];
        const back = row.map((weight, u) => weight * (u - 1.5 - mean) * scale);
        const wanted = back.reduce((sum, each, u) => sum + each * (u % 3), 0);
        assertAlmostEquals(ofQ[t * width + 1], wanted, 1e-4, `query ${t}`);
      });
      for (let u = 0; u < T; u++) {
        const sum = weights.reduce((total, row) => total + (row[u] ?? 0), 0);
        assertAlmostEquals(ofV[u * width], sum, 1e-5, `value ${u}`);
        const back = weights.reduce(
          (total, row, t) => total + (row[u] ?? 0) * (u - 1.5 - 0.5 - second[t]) * scale,
          0,
        );
        assertAlmostEquals(ofK[u * width + 1], back, 1e-5, `key ${u}`);
      }
    },
  );
}

for (const noise of [-200, -104, -90, -60, -44, -20]) {
  Deno.test(`noisy-top-k with a deviation of softplus(${noise}): a load loss of 0.1 and finite gradients`, async () => {
    const plugin = findRouter("noisy-top-k");
    const backend = await cpu({ threads: 1 });
    {
      using _scope = memory(backend);
      const batch = {
        x: [1],
        D: 1,
        E: 2,
        given: { gate: [1, 0], noise: [noise, noise] },
        options: { k: 1 },
        training: true,
      };
      const router = await makeRouter(backend, plugin, batch);
      const { losses, routing } = await routeOnce(backend, plugin, batch, router);
      assertAlmostEquals(losses.load, 0.1, 1e-6);
      const total = Object.values(routing.losses).reduce(add);
      for (const gradient of await gradients(total, Object.values(router.params))) {
        assert((await gradient!.read()).every(Number.isFinite));
      }
    }
    backend.close();
  });
}
