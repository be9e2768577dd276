// Where tokens and experts are: the plain layout, local shares, text in shards, and what a layer refuses.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { loadOf } from "../moe/load.ts";
import { hash } from "../routers/hash.ts";
import { parseOptions } from "../routers/registry.ts";
import { isLocal, layOut, localShareOf, oneRank } from "../routers/parts/topology.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";
import { trainingBatches } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";

const int = (...values: number[]) => Int32Array.from(values);

Deno.test("sequences, experts and ranks are laid out in blocks", () => {
  const topology = layOut({ sequences: equalSequences(4, 3), E: 6, ranks: 4, ranksPerNode: 2 });
  assertEquals(topology, {
    ranks: 4,
    homeRank_T: int(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3),
    rankOfExpert_E: int(0, 0, 1, 2, 2, 3),
    nodeOfRank_R: int(0, 0, 1, 1),
  });
  assertEquals([isLocal(topology, 1, 0, "rank"), isLocal(topology, 1, 0, "node")], [false, true]);
  assertEquals([isLocal(topology, 1, 2, "rank"), isLocal(topology, 1, 3, "node")], [true, false]);
});

Deno.test("with fewer experts than ranks some ranks have none; sequences are never split", () => {
  const { rankOfExpert_E, homeRank_T } = layOut({
    sequences: equalSequences(3, 2),
    E: 2,
    ranks: 4,
    ranksPerNode: 1,
  });
  assertEquals(rankOfExpert_E, int(0, 2));
  assertEquals(homeRank_T, int(0, 0, 1, 1, 2, 2));
});

Deno.test("ranks are whole numbers from 1", () => {
  const shape = { sequences: equalSequences(2, 2), E: 2, ranks: 2, ranksPerNode: 1 };
  assertThrows(() => layOut({ ...shape, ranks: 0 }), RangeError, "over 0 ranks");
  assertThrows(() => layOut({ ...shape, ranksPerNode: 1.5 }), RangeError, "over 1.5 ranks per node");
});

Deno.test("local shares count wanted assignments, and one rank has none to report", () => {
  const topology = layOut({ sequences: equalSequences(4, 1), E: 4, ranks: 4, ranksPerNode: 2 });
  const token_N = int(0, 1, 2, 3, 3);
  const wanted_N = int(0, 0, 0, 2, -1);
  assertEquals(localShareOf(topology, token_N, wanted_N, "rank"), 1 / 4);
  assertEquals(localShareOf(topology, token_N, wanted_N, "node"), 3 / 4);
  assertEquals(localShareOf(topology, int(0), int(-1), "node"), null);
  const values = { E: 4, wanted_N, expert_N: int(-1, -1, 0, 2, -1), choices: null, gateEntropy: null };
  const load = loadOf({ ...values, home: { token_N, topology } });
  assertEquals([load.localShare, load.rankLocalShare], [0.75, 0.25]);
  const alone = loadOf({ ...values, home: { token_N, topology: oneRank(4, 4) } });
  assertEquals([alone.localShare, loadOf(values).localShare], [null, null]);
});

Deno.test("a layer refuses a topology of other sizes", async () => {
  const backend = await cpu({ threads: 1 });
  {
    using _scope = memory(backend);
    const init = createInit(backend, random(0));
    const layer = createMoeLayer({
      D: 4,
      E: 2,
      router: hash.create({ D: 4, E: 2, V: 3 }, parseOptions(hash, { table: "random" }), init),
      experts: feedForward.create({ D: 4, F: 4, E: 2 }, feedForward.options.parse({}), init),
    });
    const step = {
      training: true,
      step: 0,
      random: random(1),
      tokenId_T: tensor(backend, int(0, 1, 2), [3]),
      sequences: equalSequences(1, 3),
    };
    const x_TD = tensor(backend, new Float32Array(12), [3, 4]);
    await assertRejects(
      () => layer.apply(x_TD, { ...step, topology: oneRank(2, 2) }),
      RangeError,
      "its topology is for 2 tokens, 2 experts and 1 ranks, not for 3 tokens, 2 experts and 1 ranks",
    );
    assertEquals((await layer.apply(x_TD, { ...step, topology: oneRank(3, 2) })).y_TD.shape, [3, 4]);
  }
  backend.close();
});

Deno.test("with shards every block of rows goes through its own part of the text, each window once an epoch", () => {
  const length = 2;
  const text = Int32Array.from({ length: 25 }, (_, at) => at);
  const dataset = { name: "numbers", train: text } as unknown as Dataset;
  const seen: number[][] = [[], []];
  for (let step = 0; step < 3; step++) {
    const { tokenId, target } = trainingBatches(dataset, { batch: 4, length, random: random(0), shards: 2 })(
      step,
    );
    assertEquals(target, tokenId.map((id) => id + 1));
    for (let row = 0; row < 4; row++) seen[row >> 1].push(tokenId[row * length]);
  }
  assertEquals(seen.map((starts) => starts.toSorted((a, b) => a - b)), [
    [0, 2, 4, 6, 8, 10],
    [12, 14, 16, 18, 20, 22],
  ]);
  const bad = { batch: 4, length, random: random(0) };
  assertThrows(() => trainingBatches(dataset, { ...bad, shards: 3 }), RangeError, "from 3 parts of numbers");
  assertThrows(
    () => trainingBatches(dataset, { ...bad, batch: 16, shards: 16 }),
    RangeError,
    "from 16 parts",
  );
});
