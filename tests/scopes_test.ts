// Losses that are means over scopes (groups, sequences): scopes without real tokens are left out, whichever router it is,
// and sequences of different lengths count alike.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { balanceLoss } from "../routers/parts/losses.ts";
import { deepseek, gshard, stMoe } from "../routers/mod.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, softmax } from "../tensor/reduce.ts";
import { equalSequences, type Sequences, sequencesOf } from "../tensor/sequences.ts";
import { parameter, tensor } from "../tensor/tensor.ts";

const [D, E, L] = [8, 8, 10];
const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

/** Balance loss of a router in training. */
async function lossOf(
  plugin: AnyRouterPlugin,
  options: unknown,
  x: Float32Array,
  sequences: Sequences,
  real?: Float32Array,
): Promise<number> {
  using _scope = memory(backend);
  const { T } = sequences;
  const router = plugin.create({ D, E, V: 9 }, parseOptions(plugin, options), createInit(backend, random(1)));
  const { losses } = await router.route(tensor(backend, x, [T, D]), {
    training: true,
    step: 0,
    random: random(2),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences,
    ...(real ? { real_T: tensor(backend, real, [T]) } : {}),
  });
  for (const { buffer } of Object.values(router.params)) backend.free(buffer);
  return await scalar(losses.balance);
}

/** A router's options where there are so many scopes. */
const bySequence: readonly (readonly [AnyRouterPlugin, (scopes: number) => unknown])[] = [
  [gshard, (groups) => ({ second: "always", groups })],
  [stMoe, (groups) => ({ second: "always", groups })],
  [deepseek, () => ({ k: 2 })],
  [deepseek, () => ({ k: 2, expertGroups: 7, deviceBalance: 1, groupsKept: 2 })],
];

for (const [at, [plugin, options]] of bySequence.entries()) {
  Deno.test(`${plugin.name} (${at}): a scope of padding alone is left out of the mean`, async () => {
    const x = random(3).normal(3 * L * D);
    const real = Float32Array.from({ length: 3 * L }, (_, t) => t < L || t >= 2 * L ? 1 : 0);
    const kept = Float32Array.from([...x.subarray(0, L * D), ...x.subarray(2 * L * D)]);
    const without = await lossOf(plugin, options(2), kept, equalSequences(2, L));
    assertAlmostEquals(
      await lossOf(plugin, options(3), x, equalSequences(3, L), real),
      without,
      1e-6 * without,
    );
    assert(without > 0);
    const nothing = new Float32Array(3 * L);
    assertEquals(await lossOf(plugin, options(3), x, equalSequences(3, L), nothing), 0);
  });
}

Deno.test("deepseek: sequences of any length count alike, those without tokens not at all", async () => {
  const options = { k: 2 };
  const lengths = [3, 0, 12, 1];
  const { T, offset_B1 } = sequencesOf(lengths);
  const x = random(4).normal(T * D);
  const each: number[] = [];
  for (const [b, length] of lengths.entries()) {
    const rows = x.slice(offset_B1[b] * D, offset_B1[b + 1] * D);
    if (length > 0) each.push(await lossOf(deepseek, options, rows, sequencesOf([length])));
  }
  const mean = each.reduce((sum, loss) => sum + loss) / each.length;
  const found = await lossOf(deepseek, options, x, sequencesOf(lengths));
  assertAlmostEquals(found, mean, 1e-6 * mean);
  const real = new Float32Array(T).fill(1);
  assertAlmostEquals(await lossOf(deepseek, options, x, sequencesOf(lengths), real), mean, 1e-6 * mean);
  real[T - 1] = 0; // all of the last sequence
  const others = (each[0] + each[1]) / 2;
  assertAlmostEquals(await lossOf(deepseek, options, x, sequencesOf(lengths), real), others, 1e-6 * others);
});

Deno.test("the balance loss over sequences and its gradient follow plain loops", async () => {
  using _scope = memory(backend);
  const lengths = [4, 7, 2];
  const { T, offset_B1 } = sequencesOf(lengths);
  const real = Float32Array.from({ length: T }, (_, t) => t === 1 || t >= 11 ? 0 : 1); // the last sequence is padding
  const logit_TE = parameter(backend, random(5).normal(T * E), [T, E]);
  const probability_TE = softmax(logit_TE);
  const wanted = Int32Array.from(random(6).uniform(T), (u, t) => real[t] === 0 ? -1 : Math.floor(E * u));
  const loss = balanceLoss({
    probability_TE,
    wanted_TK: tensor(backend, wanted, [T, 1]),
    counts: "first",
    scope: sequencesOf(lengths),
    real_T: tensor(backend, real, [T]),
  });
  const p = await probability_TE.read();
  const slope = new Float64Array(T * E);
  let want = 0;
  for (const b of [0, 1]) {
    const tokens = Array.from({ length: lengths[b] }, (_, l) => offset_B1[b] + l).filter((t) =>
      real[t] === 1
    );
    for (let e = 0; e < E; e++) {
      const share = tokens.filter((t) => wanted[t] === e).length / tokens.length;
      const each = E * share / tokens.length / 2;
      for (const t of tokens) {
        want += each * p[t * E + e];
        slope[t * E + e] = each;
      }
    }
  }
  assertAlmostEquals(await scalar(loss), want, 1e-6);
  const found = await (await gradients(loss, [logit_TE]))[0]!.read();
  for (let t = 0; t < T; t++) {
    const row = Array.from({ length: E }, (_, e) => t * E + e);
    const mean = row.reduce((sum, at) => sum + p[at] * slope[at], 0);
    for (const at of row) assertAlmostEquals(found[at], p[at] * (slope[at] - mean), 1e-6);
  }
  backend.free(logit_TE.buffer);
});
