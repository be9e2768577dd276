// Capacity rules against the table of published systems and by hand, and who is dropped against DeepSpeed's triples.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import * as kernels from "../kernels/mod.ts";
import {
  capacityOf,
  type CapacityOptions,
  type CapacityRule,
  capacityRules,
  keepWithinCapacity,
  maskExperts,
} from "../routers/parts/capacity.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { softmax } from "../tensor/reduce.ts";
import { topK } from "../tensor/rows.ts";
import { apply, type Tensor, tensor } from "../tensor/tensor.ts";
import dispatch from "./oracles/topk_dispatch.json" with { type: "json" };

const backend = await cpu({ threads: 1 });
const f32 = (rows: readonly (readonly number[])[]) =>
  tensor(backend, rows.flat(), [rows.length, rows[0].length]);
const i32 = (rows: readonly (readonly number[])[]) =>
  tensor(backend, Int32Array.from(rows.flat()), [rows.length, rows[0].length]);

/** 50 tokens, 8 experts, 2 choices: factor 1 and factor 1.25, as each system's own code computes them. */
const published: Record<CapacityRule, number[]> = {
  ceil: [13, 16], // DeepSpeed, Megatron, MindSpore
  switch: [7, 8], // 6.25 and 7.81 rounded up
  mesh: [6, 7], // lucidrains computes the same
  gshard: [13, 16],
  tutel: [14, 16],
  flaxformer: [6, 8],
  fairseq: [14, 14],
  megablocks: [12, 15],
  nanomoe: [12, 16],
  vmoe: [16, 16],
  fastmoe: [12, 15],
  expertchoice: [6, 7], // 6.25 and 7.81 rounded down
  dropless: [100, 100],
};

Deno.test("every rule gives what its system gives for 50 tokens, 8 experts and 2 choices", () => {
  const found = Object.fromEntries(
    Object.entries(capacityRules).map(([name, rule]) => [
      name,
      [1, 1.25].map((factor) => rule({ T: 50, E: 8, K: 2, factor })),
    ]),
  );
  assertEquals(found, published);
});

/** rule, T, E, K, factor, capacity, why */
const byHand: readonly (readonly [CapacityRule, number, number, number, number, number, string])[] = [
  ["ceil", 100, 10, 1, 1.1, 11, "1.1 x 100 / 10 is 11, whatever its last bit says"],
  ["gshard", 100, 10, 1, 1.1, 11, "the same"],
  ["megablocks", 100, 1, 1, 0.29, 29, "0.29 x 100 is 29, not 28.999999999999996"],
  ["tutel", 100, 1, 1, 0.29, 29, "the same"],
  ["ceil", 7, 3, 2, 1, 5, "14 / 3 = 4.67"],
  ["switch", 64, 8, 1, 1.25, 10, "exactly 10"],
  ["mesh", 2, 8, 2, 1, 4, "4 at least"],
  ["mesh", 10, 2, 1, 4, 10, "the tokens at most"],
  ["flaxformer", 26, 4, 1, 1, 6, "6.5 goes to the even 6"],
  ["flaxformer", 30, 4, 1, 1, 8, "7.5 goes to the even 8"],
  ["flaxformer", 8, 8, 1, 1, 4, "4 at least"],
  ["fairseq", 50, 8, 1, 1.25, 8, "one choice: int(1.25 x 7) = 8"],
  ["tutel", 16384, 2, 1, 1, 8192, "Tutel's own test"],
  ["nanomoe", 13, 4, 1, 1, 4, "3 made even"],
  ["vmoe", 10, 3, 1, 1, 4, "4 as it is"],
  ["fastmoe", 7, 2, 1, 1.1, 4, "ceil(7.7) / 2"],
  ["dropless", 9, 4, 3, 0.01, 27, "all of them"],
];

for (const [rule, T, E, K, factor, want, why] of byHand) {
  Deno.test(`rule ${rule} with T ${T}, E ${E}, K ${K}, factor ${factor} gives ${want}: ${why}`, () => {
    assertEquals(capacityRules[rule]({ T, E, K, factor }), want);
  });
}

const options = (given: Partial<CapacityOptions>): CapacityOptions => ({
  capacityRule: "ceil",
  capacityFactor: 1,
  evaluationCapacityFactor: 2,
  minimumCapacity: 1,
  dropOrder: "position",
  ...given,
});

Deno.test("capacityOf takes the factor of training or evaluation, and stays between the minimum and all", () => {
  assertEquals(capacityOf(options({}), { T: 50, E: 8, K: 2 }, true), 13);
  assertEquals(capacityOf(options({}), { T: 50, E: 8, K: 2 }, false), 25);
  assertEquals(capacityOf(options({ minimumCapacity: 20 }), { T: 50, E: 8, K: 2 }, true), 20);
  assertEquals(capacityOf(options({ capacityFactor: 1000 }), { T: 50, E: 8, K: 2 }, true), 100);
  assertEquals(capacityOf(options({ capacityRule: "megablocks" }), { T: 3, E: 8, K: 1 }, true), 1);
});

Deno.test("capacityOf with padding counts each scope's real tokens", async () => {
  using _scope = memory(backend);
  // Three scopes of five tokens: 5, 2 and 0 real ones.
  const real_T = tensor(backend, [1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0], [15]);
  const found = capacityOf(options({}), { T: 5, E: 2, K: 2 }, true, real_T) as Tensor;
  assertEquals([...await found.read()], [5, 2, 1]);
});

/** [token, expert, slot] of what was kept; slots count kept assignments of an expert in order of tokens. */
async function triples(expert_TK: Tensor, groups: number): Promise<number[][]> {
  const [T, K] = expert_TK.shape;
  const [slot_TK] = apply(kernels.rankInGroup, [expert_TK], { groups, scope: T, choiceMajor: false });
  const [expert, slot] = [await expert_TK.read(), await slot_TK.read()];
  return Array.from(expert, (e, n) => [Math.floor(n / K), e, slot[n]])
    .filter(([, e]) => e >= 0)
    .sort(([t, e], [u, f]) => t - u || e - f);
}

interface Keep {
  readonly dropOrder?: CapacityOptions["dropOrder"];
  readonly choiceMajor?: boolean;
  readonly training?: boolean;
  readonly scope?: number;
  readonly stream?: number;
}

function keep(
  wanted_TK: Tensor,
  probability_TK: Tensor,
  E: number,
  capacity: number | Tensor,
  how: Keep = {},
) {
  return keepWithinCapacity(wanted_TK, {
    E,
    capacity,
    scope: how.scope ?? wanted_TK.shape[0],
    dropOrder: how.dropOrder ?? "position",
    training: how.training ?? true,
    probability_TK,
    random: random(how.stream ?? 0),
    choiceMajor: how.choiceMajor ?? false,
  });
}

for (const [at, { k, logit_TE, ...expected }] of dispatch.cases.entries()) {
  const T = logit_TE.length;
  const E = logit_TE[0].length;
  const chosen = () => topK(softmax(f32(logit_TE)), k);
  if (expected.dropless) {
    Deno.test(`DeepSpeed's case ${at}: dropless`, async () => {
      using _scope = memory(backend);
      const { value_TK, index_TK } = chosen();
      const capacity = capacityOf(options({ capacityRule: "dropless" }), { T, E, K: k }, true);
      assertEquals(await triples(keep(index_TK, value_TK, E, capacity), E), expected.expected);
    });
    continue;
  }
  for (
    const [dropOrder, want] of [
      ["probability", expected.dropByProbability],
      ["position", expected.dropByPosition],
    ] as const
  ) {
    Deno.test(`DeepSpeed's case ${at}: drop by ${dropOrder}`, async () => {
      using _scope = memory(backend);
      const { value_TK, index_TK } = chosen();
      const capacity = capacityOf(options({}), { T, E, K: k }, true);
      assertEquals(capacity, expected.capacity);
      assertEquals(await triples(keep(index_TK, value_TK, E, capacity, { dropOrder }), E), want);
    });
  }
}

Deno.test("drop by probability ranks a chosen token with negative logits above what nobody chose", async () => {
  using _scope = memory(backend);
  // DeepSpeed scatters logits into zeros and ranks those: chosen logits below 0 then lose to tokens that chose others.
  const { value_TK, index_TK } = topK(softmax(f32([[-1, -9], [-2, -9], [-9, -3], [-9, -1]])), 1);
  const kept = keep(index_TK, value_TK, 2, 1, { dropOrder: "probability" });
  assertEquals([...await kept.read()], [0, -1, -1, 1]);
});

Deno.test("by position: the first tokens stay; equal probabilities fall back on position", async () => {
  using _scope = memory(backend);
  const wanted = () => i32([[0], [1], [0], [0], [1], [0]]);
  const equal = () => f32([[0.5], [0.5], [0.5], [0.5], [0.5], [0.5]]);
  assertEquals([...await keep(wanted(), equal(), 2, 2).read()], [0, 1, 0, -1, 1, -1]);
  assertEquals([...await keep(wanted(), equal(), 2, 2, { dropOrder: "probability" }).read()], [
    0,
    1,
    0,
    -1,
    1,
    -1,
  ]);
  const rising = f32([[0.1], [0.2], [0.3], [0.4], [0.5], [0.6]]);
  assertEquals([...await keep(wanted(), rising, 2, 2, { dropOrder: "probability" }).read()], [
    -1,
    1,
    -1,
    0,
    1,
    0,
  ]);
});

Deno.test("first choices before second choices, or token by token", async () => {
  using _scope = memory(backend);
  const wanted = () => i32([[0, 1], [0, 1], [1, 0], [1, 0]]);
  const probability = () => f32([[0.6, 0.4], [0.6, 0.4], [0.6, 0.4], [0.6, 0.4]]);
  const major = keep(wanted(), probability(), 2, 2, { choiceMajor: true });
  assertEquals([...await major.read()], [0, -1, 0, -1, 1, -1, 1, -1]);
  const byToken = keep(wanted(), probability(), 2, 2, { choiceMajor: false });
  assertEquals([...await byToken.read()], [0, 1, 0, 1, -1, -1, -1, -1]);
});

Deno.test("each scope has a capacity of its own", async () => {
  using _scope = memory(backend);
  const wanted = () => i32([[0], [0], [0], [0], [0], [0]]);
  const equal = () => f32([[1], [1], [1], [1], [1], [1]]);
  assertEquals([...await keep(wanted(), equal(), 1, 1, { scope: 3 }).read()], [0, -1, -1, 0, -1, -1]);
  const uneven = tensor(backend, [2, 0], [2]);
  assertEquals([...await keep(wanted(), equal(), 1, uneven, { scope: 3 }).read()], [0, 0, -1, -1, -1, -1]);
});

Deno.test("padding takes no slot", async () => {
  using _scope = memory(backend);
  const real_T = tensor(backend, [0, 1, 0, 1, 1], [5]);
  const wanted = maskExperts(i32([[0], [0], [0], [0], [0]]), real_T);
  assertEquals([...await wanted.read()], [-1, 0, -1, 0, 0]);
  for (const dropOrder of ["position", "probability"] as const) {
    const kept = keep(wanted, f32([[0.9], [0.5], [0.9], [0.4], [0.3]]), 1, 2, { dropOrder });
    assertEquals([...await kept.read()], [-1, 0, -1, 0, -1]);
  }
});

Deno.test("by random draw: as many as fit, another draw another set, everyone alike; by position in evaluation", async () => {
  using _scope = memory(backend);
  const [T, capacity, draws] = [12, 5, 600];
  const wanted = i32(Array.from({ length: T }, () => [0]));
  const probability = f32(Array.from({ length: T }, (_, t) => [1 - t / 20]));
  const draw = async (
    stream: number,
    training = true,
  ) => [...await keep(wanted, probability, 1, capacity, { dropOrder: "random", stream, training }).read()];
  assertEquals(await draw(1), await draw(1));
  assertNotEquals(await draw(1), await draw(2));
  const evaluated = Array.from({ length: T }, (_, t) => t < capacity ? 0 : -1);
  assertEquals(await draw(1, false), evaluated);

  const kept = new Array<number>(T).fill(0);
  for (let stream = 0; stream < draws; stream++) {
    const found = await draw(stream);
    assertEquals(found.filter((e) => e === 0).length, capacity);
    found.forEach((e, t) => kept[t] += e === 0 ? 1 : 0);
  }
  // Kept with probability 5 / 12 each: a binomial count, five standard deviations either way.
  const mean = draws * capacity / T;
  const deviation = Math.sqrt(mean * (1 - capacity / T));
  for (const count of kept) assert(Math.abs(count - mean) < 5 * deviation, `kept ${kept}`);
});

Deno.test("what fits is returned as it is", () => {
  using _scope = memory(backend);
  const wanted = i32([[0, 1], [1, 0]]);
  assertEquals(keep(wanted, f32([[1, 0], [1, 0]]), 2, 4) === wanted, true);
});
