// How decidedly mixtures choose, as records keep it and reports draw it: counts again from single tokens, what a run
// writes at its points and its end, what that costs, and older records.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { marginShares, pairEvenness } from "../report/choice_plots.ts";
import { sharedWords } from "../report/promoted_words.ts";
import { renderReport } from "../report/report.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { takePassSeconds } from "../tensor/stage.ts";
import { type FirstExperts, watchChoices } from "../training/choices.ts";
import type { Settings } from "../training/config.ts";
import { evaluate, evaluationPlan } from "../training/evaluate.ts";
import { changedExperts, firstExpert, inspectRouting } from "../training/inspection.ts";
import { mixtureStages } from "../training/record.ts";
import { parseRecord, recordRows, recordText } from "../training/record_text.ts";
import { createTrainer, type Trainer } from "../training/trainer.ts";
import { controls, recordOf, routers, runsOf } from "./made_up_runs.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());
const data = await madeUpData();
const twoMixtures: Settings = {
  "model.layers": 2,
  "model.moeEvery": 1,
  "model.experts": 8,
  "model.equalCost": false,
  "train.steps": 6,
  "train.learningRate": 0.02,
};
const T = 96;
const tokenId = Int32Array.from({ length: T }, (_, t) => (t * 7 + t % 5) % 20);
const wordsOfData = Array.from({ length: 256 }, (_, row) => data.nameOf(row));
const given = { tokenId, sequences: equalSequences(3, T / 3), step: 4 };

function trainerOf(router: string, options: Readonly<Record<string, unknown>> = {}): Promise<Trainer> {
  return createTrainer(tinyConfig(router, options, least, twoMixtures), { backend, data });
}

const nameOf = (row: number) => `word ${row}`;

/** What a watch makes of some tokens, in two batches of whole sequences. */
async function watched({ model }: Trainer) {
  const choices = watchChoices({ model, backend, nameOf });
  for (const [from, to] of [[0, 1], [1, 3]]) {
    using _scope = memory(backend);
    const ids = tokenId.subarray(from * T / 3, to * T / 3);
    const sequences = equalSequences(to - from, T / 3);
    const pass = { training: false, step: 4, random: random(0), backend };
    await choices.add(await model.forward({ tokenId_T: ids, sequences }, pass));
  }
  return choices;
}

/** Capacity is each batch's own: with room for all tokens, two batches route as one does. */
const room = { capacityFactor: 8, evaluationCapacityFactor: 8 };

for (
  const [router, options] of [["gshard", room], ["deepseek", { k: 2, shared: 1 }], ["switch", room]] as const
) {
  Deno.test(`${router}: counts over batches are those of single tokens`, async () => {
    using trainer = await trainerOf(router, options);
    for (let step = 0; step < 4; step++) await trainer.step();
    const choices = await watched(trainer);
    const { tokens, layers, flows } = await inspectRouting(trainer.model, backend, given);
    const ended = await choices.end();
    assertEquals(ended.length, 2);
    for (const [at, found] of ended.entries()) {
      const { layer, shared, margins, together, promoted } = layers[at];
      assertEquals([found.layer, found.shared], [layer, shared]);
      const counts = new Array<number>(20).fill(0);
      for (const margin of margins!) counts[Math.min(19, Math.floor(margin * 20))]++;
      assertEquals(found.margins, counts);
      const isTogether = together.some((row) => row.some((count) => count > 0));
      assertEquals(found.together, isTogether ? together : null);
      assertEquals(isTogether, router !== "switch");
      const [flow] = flows;
      const { counts: passed, information } = flow;
      assertEquals(found.flow, at === 0 ? { to: 1, counts: passed, information } : null);
      assertEquals(
        [...choices.first().get(layer)!],
        tokens.map(({ layers }) => firstExpert(layers[at], shared) ?? -1),
      );
      assertEquals(found.promoted, promoted!.map((rows) => rows.map(nameOf)));
      const near = margins!.filter((margin) => margin < 0.1).length / T;
      assertEquals(choices.point(new Map())[at], { layer, nearTies: near });
    }
  });
}

Deno.test("tokens that change expert are those of two closer looks; other examples say nothing", async () => {
  using trainer = await trainerOf("switch", room);
  await trainer.step();
  const [before, first] = [await inspectRouting(trainer.model, backend, given), await watched(trainer)];
  assertEquals(first.point(first.first()).map(({ changed }) => changed), [0, 0]);
  for (let step = 0; step < 3; step++) await trainer.step();
  const [after, then] = [await inspectRouting(trainer.model, backend, given), await watched(trainer)];
  const changes = changedExperts(before, after).map(({ share }) => share);
  assertEquals(then.point(first.first()).map(({ changed }) => changed), changes);
  assert(changes.some((share) => share > 0), "training moved no token");
  const fewer: FirstExperts = new Map([[0, new Int32Array(T - 1)]]);
  assertEquals(then.point(fewer).map(({ changed }) => changed), [undefined, undefined]);
});

Deno.test("a run records its choices at every point and its end; a dense control has none", async () => {
  using trainer = await trainerOf("gshard");
  while (trainer.steps < 6) await trainer.step();
  await trainer.finish();
  const { evaluations, end } = trainer.record();
  assert(evaluations.length > 2);
  for (const [at, { choices }] of evaluations.entries()) {
    assertEquals(choices!.map(({ layer }) => layer), [0, 1]);
    for (const { nearTies, changed } of choices!) {
      assert(nearTies! >= 0 && nearTies! <= 1);
      assertEquals(changed === undefined, at === 0);
    }
  }
  for (const { promoted } of end!.choices!) {
    const words = promoted!.flat();
    assert(words.length > 0 && words.every((word) => wordsOfData.includes(word)), words.join(" "));
  }
  const held = end!.choices!.map(({ margins }) => margins!.reduce((sum, count) => sum + count));
  assertEquals(held, [evaluations[0].tokens, evaluations[0].tokens]);
  const config = { ...tinyConfig("switch", {}, least, twoMixtures), control: "dense, equal FLOPs" as const };
  using dense = await createTrainer(config, { backend, data });
  while (dense.steps < 6) await dense.step();
  await dense.finish();
  const [point] = dense.record().evaluations;
  assert(point.choices!.every(({ nearTies }) => nearTies === null));
  assert(
    dense.record().end!.choices!.every(({ margins, together }) => margins === null && together === null),
  );
});

Deno.test("recording choices takes less time than the mixtures they are of", async () => {
  using trainer = await createTrainer(tinyConfig("gshard", {}, twoMixtures), { backend, data });
  const { config, model } = trainer;
  const setting = { backend, data, plan: evaluationPlan(config, data), step: 0 };
  const [mixtures, recording] = [[], []] as [number[], number[]];
  for (let round = 0; round < 5; round++) {
    takePassSeconds(backend);
    const choices = watchChoices({ model, backend, nameOf: data.nameOf });
    let seconds = 0;
    const timed = async (body: () => unknown) => {
      const start = performance.now();
      await body();
      seconds += (performance.now() - start) / 1000;
    };
    await evaluate(model, { ...setting, watch: (output) => timed(() => choices.add(output)) });
    await timed(async () => {
      choices.point(choices.first());
      await choices.end();
    });
    const { forward } = takePassSeconds(backend);
    mixtures.push(mixtureStages.reduce((sum, stage) => sum + (forward[stage] ?? 0), 0));
    recording.push(seconds);
  }
  const [layer, own] = [Math.min(...mixtures), Math.min(...recording)];
  assert(own < layer, `recording took ${own} s and the mixtures ${layer} s`);
});

Deno.test("margins add up to shares, and pairs have an evenness", () => {
  const layer = { layer: 0, shared: 0, together: null, flow: null };
  const margins = (first: number, last: number) => [first, ...new Array<number>(18).fill(0), last];
  const shares = marginShares([{ ...layer, margins: margins(1, 3) }, { ...layer, margins: margins(1, 1) }]);
  assertEquals(shares.map(({ step }) => step).slice(0, 2), [0.05, 0.1]);
  assertEquals(shares.map(({ value }) => value), [...new Array<number>(19).fill((0.25 + 0.5) / 2), 1]);
  assertEquals(marginShares([{ ...layer, margins: null }]), []);
  const evenness = (together: number[][], shared = 0) =>
    pairEvenness({ ...layer, shared, margins: null, together });
  assertAlmostEquals(evenness([[0, 2, 2], [2, 0, 2], [2, 2, 0]])!, 1);
  assertEquals(evenness([[0, 5, 0], [5, 0, 0], [0, 0, 0]]), 0);
  // 1/2, 1/4 and 1/4 of three pairs: 1.5 ln 2 over ln 3.
  assertAlmostEquals(evenness([[0, 2, 1], [2, 0, 1], [1, 1, 0]])!, 1.5 * Math.log(2) / Math.log(3));
  // Two experts have one pair, and so have three if every token goes to the first.
  assertEquals(evenness([[0, 4], [4, 0]]), null);
  assertEquals(evenness([[0, 0, 0], [0, 0, 4], [0, 4, 0]], 1), null);
});

Deno.test("words are shared with the most alike expert of another seed, whatever its number", () => {
  const of = (...promoted: string[][]) => [{
    ...{ layer: 0, shared: 0, margins: null, together: null, flow: null },
    promoted,
  }];
  assertEquals(sharedWords([of(["a", "b"], ["c", "d"]), of(["d", "c"], ["a", "b"])]), [1]);
  // Two experts share half of their words; the third shares none.
  assertEquals(sharedWords([of(["a", "b"], []), of(["a", "c"], ["d", "e"])]), [(0.5 + 0.5 + 0) / 3]);
  assertEquals(sharedWords([of(["a"]), of(["b"]), of(["a"])]), [0, 1, 0]);
  assertEquals(sharedWords([of(["a"])]), []);
  assertEquals(sharedWords([of([]), of([])]), []);
});

Deno.test("shares of promoted words stand beside random routing's, or the page says that it lacks them", () => {
  const page = (...more: typeof controls) =>
    renderReport(experiment, runsOf(2, [routers.gshard, ...more]).runs, []);
  const row = /<th scope="row">random routing<\/th><td>0\.\d\d<\/td><td>0\.\d\d to 0\.\d\d</;
  const [alone, beside] = [page(), page(...controls)];
  assert(beside.includes("share words by chance alone") && row.test(beside), "the control's row is missing");
  assert(alone.includes("was not recorded here") && !row.test(alone));
});

const experiment = { name: "compare", about: "Old?", command: "deno task experiments", date: "2026-11-29" };

Deno.test("records of schema 2 are read as of today, without choices, and make a report without their section", () => {
  const { header, steps, evaluations, end } = recordOf(routers.gshard, 0);
  const { choices: _, ...ended } = end!;
  const older = {
    header: { ...header, schema: 2 as unknown as 3 },
    steps,
    evaluations: evaluations.map(({ choices: _, ...row }) => row),
    end: ended,
  };
  const read = parseRecord(recordText(recordRows(older)), "schema 2");
  assertEquals(read, { ...older, header });
  const now = renderReport(experiment, runsOf(1, [routers.gshard]).runs, []);
  const then = renderReport(experiment, [read], []);
  assert(
    now.includes('id="choices"') && now.includes("Layer 1 to 3") &&
      now.includes("Words that experts promote"),
  );
  assert(
    !then.includes('id="choices"') && !then.includes("Words that experts promote") &&
      !/undefined|NaN/.test(then),
  );
});
