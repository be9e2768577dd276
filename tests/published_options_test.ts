// Options of published systems against plain loops: hash keys, no token left behind, second-expert rules, weights over
// kept choices, and dropout inside experts.
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { swiglu } from "../experts/swiglu.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { gshard, type GshardOptions } from "../routers/gshard.ts";
import { hash, type HashOptions } from "../routers/hash.ts";
import { parseOptions } from "../routers/registry.ts";
import type { RouterPlugin } from "../routers/router.ts";
import { type SwitchOptions, switchRouter } from "../routers/switch.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

interface Setting<Options> {
  readonly plugin: RouterPlugin<Options>;
  readonly options?: Partial<Options>;
  readonly E: number;
  readonly D?: number;
  readonly x?: Float32Array;
  readonly ids?: readonly number[];
  readonly T: number;
  readonly length?: number;
  readonly training?: boolean;
  readonly stream?: number;
  /** Gate, [D, E]. */
  readonly gate?: Float32Array;
}

async function routed<Options>(setting: Setting<Options>) {
  using _scope = memory(backend);
  const { plugin, options, E, D = 4, T, length = T, training = true, stream = 0 } = setting;
  const V = 50;
  const router = plugin.create(
    { D, E, V, tokenCount_V: Int32Array.from({ length: V }, (_, id) => 100 - id) },
    parseOptions(plugin, options),
    createInit(backend, random(7)),
  );
  if (setting.gate) router.params.gate.assign(tensor(backend, setting.gate, [D, E]));
  const routing = await router.route(tensor(backend, setting.x ?? new Float32Array(T * D), [T, D]), {
    training,
    step: 0,
    random: random(stream),
    tokenId_T: tensor(backend, Int32Array.from(setting.ids ?? new Array(T).fill(0)), [T]),
    sequences: equalSequences(T / length, length),
  });
  for (const param of Object.values(router.params)) backend.free(param.buffer);
  return {
    expert: [...await routing.expert_N.read()],
    wanted: [...await routing.wanted_N.read()],
    weight: [...await routing.weight_N.read()],
    probability: routing.probability_TE ? await routing.probability_TE.read() : new Float32Array(),
  };
}

const ids = [3, 9, 3, 4, 9, 3, 9, 9, 0, 3, 9, 4];

const hashed = async (options: Partial<HashOptions>, length = 6) =>
  (await routed({ plugin: hash, options, E: 5, ids, T: 12, length })).expert;

Deno.test("hash by the previous id is the id's table one place later, within each sequence", async () => {
  for (const table of ["random", "balanced"] as const) {
    const own = await hashed({ table });
    const want = own.map((expert, t) => t % 6 === 0 ? expert : own[t - 1]);
    assertEquals(await hashed({ table, key: "previous" }), want);
  }
});

Deno.test("hash by bigram: equal pairs agree, order matters, and experts share pairs evenly", async () => {
  const found = await hashed({ key: "bigram" });
  assertEquals(found[1], found[10], "3 then 9, twice");
  assertEquals(found[6], found[7], "9 then 9: a first token stands in for its predecessor");
  const T = 4000;
  const many = random(3).uniform(T).map((u) => Math.floor(50 * u));
  const { expert } = await routed({ plugin: hash, options: { key: "bigram" }, E: 5, ids: [...many], T });
  const byPair = new Map<string, number>();
  expert.forEach((e, t) => {
    if (t === 0) return;
    const pair = `${many[t - 1]} ${many[t]}`;
    assertEquals(byPair.get(pair) ?? e, e, pair);
    byPair.set(pair, e);
  });
  const swapped = [...byPair].filter(([pair, e]) => byPair.get(pair.split(" ").reverse().join(" ")) === e);
  assert(swapped.length < 0.4 * byPair.size, "pairs are not their own reverse");
  for (let e = 0; e < 5; e++) {
    const share = [...byPair.values()].filter((other) => other === e).length / byPair.size;
    assertAlmostEquals(share, 1 / 5, 5 * Math.sqrt(4 / 25 / byPair.size));
  }
});

Deno.test("hash by position takes turns, or draws one expert a place whatever the length", async () => {
  assertEquals(await hashed({ key: "position" }), [0, 1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 0]);
  const short = await hashed({ key: "position", table: "random" });
  assertEquals(short.slice(0, 6), short.slice(6));
  assertEquals((await hashed({ key: "position", table: "random" }, 12)).slice(0, 6), short.slice(0, 6));
});

const [T, D, E] = [40, 8, 5];
const x = random(4).normal(T * D).map((value, at) => value + (at % D === 0 ? 1.5 : 0));
const gate = random(5).normal(D * E);

const falling = (row: readonly number[]) => [...row.keys()].sort((a, b) => row[b] - row[a] || a - b);
const rowsOf = (probability: ArrayLike<number>) =>
  Array.from({ length: T }, (_, t) => Array.from({ length: E }, (_, e) => probability[t * E + e]));

for (const dropOrder of ["position", "probability"] as const) {
  for (const tries of [2, 3, 4, 9]) {
    Deno.test(`no token left behind: ${tries} tries by ${dropOrder} equal rounds in plain loops`, async () => {
      const C = Math.ceil(0.9 * T / E);
      const options = {
        jitter: 0,
        noTokenLeftBehind: tries,
        dropOrder,
        capacityRule: "ceil",
        capacityFactor: 0.9,
      };
      const found = await routed({
        plugin: switchRouter,
        options: options as Partial<SwitchOptions>,
        E,
        D,
        T,
        x,
        gate,
      });
      const rows = rowsOf(found.probability);
      const taken = new Array<number>(T).fill(-1);
      const used = new Array<number>(E).fill(0);
      for (let round = 0; round < Math.min(tries, E); round++) {
        const asking = [...taken.keys()].filter((t) => taken[t] < 0);
        const choice = asking.map((t) => falling(rows[t])[round]);
        const order = [...asking.keys()].sort((a, b) =>
          dropOrder === "position" ? a - b : rows[asking[b]][choice[b]] - rows[asking[a]][choice[a]] || a - b
        );
        for (const at of order) {
          if (used[choice[at]] === C) continue;
          used[choice[at]]++;
          taken[asking[at]] = choice[at];
        }
      }
      assertEquals(found.expert, taken);
      const last = taken.map((expert, t) => expert < 0 ? falling(rows[t])[0] : expert);
      assertEquals(found.wanted, last);
      assertEquals(found.weight, last.map((expert, t) => rows[t][expert]));
      assert(
        taken.some((expert, t) => expert >= 0 && expert !== falling(rows[t])[0]),
        "some token was re-routed",
      );
      assert(tries < E || taken.filter((expert) => expert < 0).length === T - E * C, "all slots are used");
    });
  }
}

Deno.test("no token left behind in random order: nobody loses a slot, and more tries leave fewer behind", async () => {
  const left = async (noTokenLeftBehind: number, stream: number) => {
    const options = {
      jitter: 0,
      noTokenLeftBehind,
      dropOrder: "random",
      capacityRule: "ceil",
      capacityFactor: 0.9,
    };
    const found = await routed({
      plugin: switchRouter,
      options: options as Partial<SwitchOptions>,
      E,
      D,
      T,
      x,
      gate,
      stream,
    });
    return found.expert;
  };
  const [two, four] = [await left(2, 1), await left(4, 1)];
  two.forEach((expert, t) => expert >= 0 && assertEquals(four[t], expert));
  const behind = (experts: number[]) => experts.filter((expert) => expert < 0).length;
  assert(behind(four) < behind(two), `${behind(four)} ${behind(two)}`);
  assertNotEquals(await left(4, 2), four);
});

const top2 = (options: Partial<GshardOptions>, more: { training?: boolean; stream?: number } = {}) =>
  routed({
    plugin: gshard,
    options: { capacityRule: "dropless", ...options },
    E,
    D,
    T,
    x,
    gate: gate.map((value) => value / 2),
    ...more,
  });

Deno.test("a second expert above a threshold, in training and in evaluation (Mesh-TensorFlow)", async () => {
  for (const secondThreshold of [0.2, 0.35]) {
    for (const training of [true, false]) {
      const found = await top2({ second: "threshold", secondThreshold }, { training });
      const want = rowsOf(found.probability).flatMap((row) => {
        const [first, second] = falling(row);
        return [first, row[second] / (row[first] + row[second]) > secondThreshold ? second : -1];
      });
      assertEquals(found.wanted, want);
      assert(want.includes(-1) && want.some((expert, n) => n % 2 === 1 && expert >= 0));
    }
  }
});

Deno.test("a second expert with probability g2 / threshold (Mesh-TensorFlow), always in evaluation", async () => {
  const draws = 400;
  const used = new Array<number>(T).fill(0);
  let rows: number[][] = [];
  for (let stream = 0; stream < draws; stream++) {
    const found = await top2({ second: "mesh-random", secondThreshold: 0.5 }, { stream });
    rows = rowsOf(found.probability);
    found.wanted.forEach((expert, n) => n % 2 === 1 && expert >= 0 && used[n >> 1]++);
  }
  rows.forEach((row, t) => {
    const [first, second] = falling(row);
    const share = Math.min(1, row[second] / (row[first] + row[second]) / 0.5);
    assertAlmostEquals(used[t] / draws, share, 5 * Math.sqrt(share * (1 - share) / draws) + 1e-9);
  });
  assert(!(await top2({ second: "mesh-random" }, { training: false })).wanted.includes(-1));
});

Deno.test("a second expert drawn among all others in proportion (DeepSpeed), the second best in evaluation", async () => {
  const draws = 2000;
  const counts = Array.from({ length: T }, () => new Array<number>(E).fill(0));
  let rows: number[][] = [];
  for (let stream = 0; stream < draws; stream++) {
    const found = await top2({ second: "gumbel" }, { stream });
    rows = rowsOf(found.probability);
    found.wanted.forEach((expert, n) =>
      n % 2 === 1 ? counts[n >> 1][expert]++ : assertEquals(expert, falling(rows[n >> 1])[0])
    );
    if (stream > 0) continue;
    found.weight.forEach((weight, n) => {
      const t = n >> 1;
      const pair = rows[t][found.wanted[2 * t]] + rows[t][found.wanted[2 * t + 1]];
      assertAlmostEquals(weight, rows[t][found.wanted[n]] / pair, 1e-6);
    });
  }
  // Chi-square over the four others of each token: 160 - 40 degrees of freedom, mean 120, deviation 15.5.
  let chi = 0;
  rows.forEach((row, t) => {
    const [first] = falling(row);
    assertEquals(counts[t][first], 0);
    row.forEach((p, e) => {
      const expected = draws * p / (1 - row[first]);
      if (e !== first) chi += (counts[t][e] - expected) ** 2 / expected;
    });
  });
  assert(Math.abs(chi - 120) < 5 * Math.sqrt(240), `chi-square ${chi}`);
  const calm = await top2({ second: "gumbel" }, { training: false });
  assertEquals(calm.wanted, (await top2({ second: "always" })).wanted);
});

Deno.test("weights normalised after dropping sum to 1 over what was kept (DeepSpeed)", async () => {
  const options = { second: "always", capacityRule: "ceil", capacityFactor: 0.7 } as const;
  const before = await top2(options);
  const after = await top2({ ...options, normalize: "after" });
  assertEquals(after.expert, before.expert);
  const rows = rowsOf(after.probability);
  let [single, none] = [0, 0];
  for (let t = 0; t < T; t++) {
    const kept = [0, 1].filter((choice) => after.expert[2 * t + choice] >= 0);
    single += Number(kept.length === 1);
    none += Number(kept.length === 0);
    const sum = kept.reduce((total, choice) => total + rows[t][after.expert[2 * t + choice]], 0);
    for (const choice of [0, 1]) {
      const want = kept.includes(choice) ? rows[t][after.expert[2 * t + choice]] / sum : 0;
      assertAlmostEquals(after.weight[2 * t + choice], want, 1e-6);
    }
  }
  assert(single > 0 && none > 0, `${single} tokens kept one choice, ${none} none`);
});

for (const plugin of [feedForward, swiglu]) {
  Deno.test(`${plugin.name} experts drop hidden units in training only, and keep their mean`, async () => {
    using _scope = memory(backend);
    const [rows, width, hidden, share] = [300, 4, 64, 0.4];
    const create = (dropout: number) => {
      const init = createInit(backend, random(1));
      // deno-lint-ignore no-explicit-any -- two plugins whose options differ
      return (plugin as any).create({ D: width, F: hidden, E: 2 }, plugin.options.parse({ dropout }), init);
    };
    const output = async (dropout: number, training: boolean, stream = 0) => {
      const bank = create(dropout);
      const router = hash.create(
        { D: width, E: 2, V: 2 },
        parseOptions(hash, { table: "random" }),
        createInit(backend, random(2)),
      );
      const layer = createMoeLayer({ D: width, E: 2, router, experts: bank });
      const { y_TD } = await layer.apply(tensor(backend, random(3).normal(rows * width), [rows, width]), {
        training,
        step: 0,
        random: random(stream),
        tokenId_T: tensor(backend, new Int32Array(rows), [rows]),
        sequences: equalSequences(1, rows),
      });
      const values = await y_TD.read();
      for (const param of Object.values(bank.params) as { buffer: never }[]) backend.free(param.buffer);
      return [...values];
    };
    const plain = await output(0, true);
    assertEquals(await output(share, false), plain);
    assertEquals(await output(0, false), plain);
    const dropped = await output(share, true);
    assertNotEquals(dropped, plain);
    assertEquals(await output(share, true), dropped);
    assertNotEquals(await output(share, true, 1), dropped);
    // Averaged over draws the output is the plain one; deviations shrink as 1 / sqrt(draws).
    const draws = 200;
    const sum = new Array<number>(plain.length).fill(0);
    const square = new Array<number>(plain.length).fill(0);
    for (let stream = 0; stream < draws; stream++) {
      (await output(share, true, stream)).forEach((value, at) => {
        sum[at] += value / draws;
        square[at] += value * value / draws;
      });
    }
    const errors = plain.map((value, at) =>
      (sum[at] - value) / Math.sqrt((square[at] - sum[at] ** 2) / draws)
    );
    const mean = errors.reduce((total, error) => total + error, 0) / errors.length;
    assert(Math.abs(mean) < 5 / Math.sqrt(errors.length) && Math.max(...errors.map(Math.abs)) < 6, `${mean}`);
  });
}

Deno.test("dropout of everything is refused", () => {
  assertThrows(() => feedForward.options.parse({ dropout: 1 }));
});
