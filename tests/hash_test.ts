// The hash router: ParlAI's table from ParlAI's stream, what a balanced table promises, and that nothing but the id counts.
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { balancedTable, hash, randomTable } from "../routers/hash.ts";
import { parseOptions } from "../routers/registry.ts";
import type { RouterDims } from "../routers/router.ts";
import { createInit, type Init } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { type Random, random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";
import { pythonSeed, randrange } from "./mersenne_twister.ts";

const backend = await cpu({ threads: 1 });

interface How {
  readonly table?: "random" | "balanced";
  readonly dims: RouterDims;
  readonly init?: Init;
  readonly x?: Float32Array;
  readonly training?: boolean;
}

/** Experts of the given ids. */
async function expertsOf(ids: readonly number[], how: How): Promise<number[]> {
  using _scope = memory(backend);
  const { dims, table = "random", init = createInit(backend, random(0)) } = how;
  const T = ids.length;
  const router = hash.create(dims, parseOptions(hash, { table }), init);
  assertEquals(Object.keys(router.params), []);
  const routing = await router.route(tensor(backend, how.x ?? new Float32Array(T * dims.D), [T, dims.D]), {
    training: how.training ?? true,
    step: 0,
    random: random(1),
    tokenId_T: tensor(backend, Int32Array.from(ids), [T]),
    sequences: equalSequences(1, T),
  });
  assertEquals([...await routing.weight_N.read()], ids.map(() => 1));
  assertEquals(await routing.wanted_N.read(), await routing.expert_N.read());
  assertEquals([routing.losses, routing.choices, routing.probability_TE], [{}, 1, undefined]);
  return [...await routing.expert_N.read()];
}

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);

/** projects/params_vs_compute/hash_ladder/hash_ladder.py of facebookresearch/ParlAI (MIT): seed 42, one draw per id. */
const parlai: Readonly<Record<number, readonly number[]>> = {
  32: [7, 1, 17, 15, 14, 8, 6, 5, 27, 2, 1, 5, 13, 14, 1, 12],
  5: [0, 0, 2, 1, 1, 1, 0, 4, 0, 4, 3, 0, 0, 0, 1, 1],
};

for (const [experts, table] of Object.entries(parlai)) {
  Deno.test(`with ParlAI's stream, ${experts} experts, the random table is ParlAI's`, async () => {
    const E = Number(experts);
    const stream = (): Random => ({
      ...random(0),
      uniform(count) {
        const twister = pythonSeed(42);
        return Float32Array.from({ length: count }, () => randrange(twister, E));
      },
    });
    const init = { ...createInit(backend, random(0)), random: { ...random(0), split: stream } };
    assertEquals(await expertsOf(upTo(16), { dims: { D: 4, E, V: 16 }, init }), table);
  });
}

Deno.test("the random table is fixed by the seed", async () => {
  const dims = { D: 4, E: 8, V: 200 };
  const table = (seed: number) => expertsOf(upTo(200), { dims, init: createInit(backend, random(seed)) });
  assertEquals(await table(1), await table(1));
  assertNotEquals(await table(1), await table(2));
});

Deno.test("a random table gives every expert its share of ids", () => {
  const [V, E] = [8000, 8];
  const count = new Array<number>(E).fill(0);
  for (const expert of randomTable(V, E, random(3).uniform(V))) count[expert]++;
  // A binomial count, five standard deviations either way.
  const deviation = Math.sqrt(V / E * (1 - 1 / E));
  for (const ids of count) assert(Math.abs(ids - V / E) < 5 * deviation, `ids by expert: ${count}`);
});

Deno.test("nothing but the id decides: not the hidden state, the position or the mode", async () => {
  const dims = { D: 4, E: 8, V: 30 };
  const ids = [3, 29, 3, 0, 17, 3];
  const plain = await expertsOf(ids, { dims });
  assertEquals([plain[0], plain[0]], [plain[2], plain[5]]);
  assertEquals(await expertsOf(ids, { dims, x: random(5).normal(24) }), plain);
  assertEquals(await expertsOf(ids, { dims, training: false }), plain);
  assertEquals(await expertsOf([...ids].reverse(), { dims }), [...plain].reverse());
});

/** Counts that fall like those of words; every seventh id is never seen. */
const zipf = (V: number, seen = 6) =>
  Int32Array.from({ length: V }, (_, id) => id % 7 < seen ? Math.ceil(50_000 / (20 + (id * 37) % V)) : 0);

function loadsOf(table: Int32Array, { E, tokenCount_V }: RouterDims): number[] {
  const load = new Array<number>(E).fill(0);
  table.forEach((expert, id) => load[expert] += tokenCount_V![id]);
  return load;
}

Deno.test("the balanced table by hand: most frequent first, each to the least loaded, ties to the lower index", () => {
  // Frequencies 9, 7, 7, 4, 2, 2: experts 0, 1, 2 take 9, 7, 7; 4 goes to 1; then 2 to 2, 2 to 0.
  const tokenCount_V = Int32Array.of(4, 9, 7, 2, 7, 2);
  assertEquals([...balancedTable({ D: 1, E: 3, V: 6, tokenCount_V })], [1, 0, 1, 2, 2, 0]);
});

Deno.test("balanced loads differ by no more than the rarest id of the fullest expert", () => {
  for (const E of [2, 8, 64]) {
    const dims = { D: 1, E, V: 3000, tokenCount_V: zipf(3000) };
    const table = balancedTable(dims);
    const load = loadsOf(table, dims);
    const least = Math.min(...load);
    load.forEach((total, expert) => {
      const rarest = Math.min(
        ...[...table.keys()].filter((id) => table[id] === expert && dims.tokenCount_V[id] > 0).map((id) =>
          dims.tokenCount_V[id]
        ),
      );
      assert(
        total - rarest <= least,
        `expert ${expert}: ${total}, of which ${rarest} came last; least ${least}`,
      );
    });
  }
});

Deno.test("ids never seen in training are spread evenly too", () => {
  for (const seen of [0, 6]) {
    const dims = { D: 1, E: 8, V: 3000, tokenCount_V: zipf(3000, seen) };
    const count = new Array<number>(8).fill(0);
    balancedTable(dims).forEach((expert, id) => count[expert] += dims.tokenCount_V[id] === 0 ? 1 : 0);
    assert(Math.max(...count) - Math.min(...count) <= 1, `unseen ids by expert: ${count}`);
  }
});

Deno.test("the balanced table is the default, needs counts, and is more even than a random one", async () => {
  const dims = { D: 4, E: 8, V: 3000, tokenCount_V: zipf(3000) };
  assertEquals(await expertsOf(upTo(3000), { dims, table: "balanced" }), [...balancedTable(dims)]);
  assertEquals(parseOptions(hash), { key: "token", table: "balanced" });
  const spread = (table: Int32Array) => Math.max(...loadsOf(table, dims)) / Math.min(...loadsOf(table, dims));
  assert(spread(balancedTable(dims)) < spread(randomTable(3000, 8, random(1).uniform(3000))));
  const create = (other: RouterDims) => () =>
    hash.create(other, parseOptions(hash), createInit(backend, random(0)));
  assertThrows(create({ D: 4, E: 8, V: 30 }), RangeError, "tokenCount_V");
  assertThrows(
    create({ D: 4, E: 8, V: 30, tokenCount_V: new Int32Array(29) }),
    RangeError,
    "has 29 counts for 30 ids",
  );
});
