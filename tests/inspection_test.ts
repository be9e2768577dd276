// A closer look at a model's routing: every figure again from what the model's own pass says, and the command around it.
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseHTML } from "linkedom";
import { inspectionText } from "../cli/inspect_text.ts";
import { inspectionPage } from "../cli/inspect_page.ts";
import type { Model } from "../models/model.ts";
import { partners } from "../report/expert_heat.ts";
import { quantile } from "../report/statistics.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { recall } from "../tasks/recall.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { configOf, type Settings } from "../training/config.ts";
import {
  changedExperts,
  firstExpert,
  type Inspection,
  inspectRouting,
  marginOf,
} from "../training/inspection.ts";
import { createTrainer } from "../training/trainer.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";
import { runTask } from "./task_command.ts";
import { cpuAndFolder } from "./own_folder.ts";

const { backend, folder } = await cpuAndFolder();
const text = await madeUpData();
const few: Settings = { "train.steps": 6, "train.learningRate": 0.02, seed: 3 };

const T = 64;
const tokenId = Int32Array.from({ length: T }, (_, t) => (t * 7 + t % 5) % 20);
const given = { tokenId, sequences: equalSequences(2, T / 2), step: 4 };

/** A model with two mixtures after four steps, and what was found in it. */
async function inspected(router: string, options: Record<string, unknown> = {}) {
  const layers = { "model.layers": 2, "model.moeEvery": 1, "model.experts": 8, "model.equalCost": false };
  const trainer = await createTrainer(tinyConfig(router, options, least, few, layers), {
    backend,
    data: text,
  });
  for (let step = 0; step < 4; step++) await trainer.step();
  const inspection = await inspectRouting(trainer.model, backend, given);
  return { trainer, inspection, [Symbol.dispose]: () => trainer.close() };
}

Deno.test("counts, margins and flow are those of the tokens, one by one", async () => {
  using found = await inspected("gshard");
  const { tokens, layers, flows } = found.inspection;
  assertEquals(tokens.map((token) => token.tokenId), [...tokenId]);
  assertEquals(layers.map(({ layer, E, shared }) => [layer, E, shared]), [[0, 8, 0], [1, 8, 0]]);
  for (const [at, layer] of layers.entries()) {
    const first = tokens.map(({ layers }) => {
      const { kept } = layers[at];
      return kept.length === 0 ? null : kept.toSorted((a, b) => b.weight - a.weight)[0].expert;
    });
    assertEquals(layer.tokens, Array.from({ length: 8 }, (_, e) => first.filter((one) => one === e).length));
    const margins = tokens.map(({ layers }) => {
      const sorted = layers[at].probability!.toSorted((a, b) => b - a);
      return sorted[0] - sorted[1];
    });
    assertEquals(layer.margins, margins);
    for (let a = 0; a < 8; a++) {
      for (let b = 0; b < 8; b++) {
        const both = tokens.filter(({ layers }) =>
          a !== b && [a, b].every((e) => layers[at].kept.some(({ expert }) => expert === e))
        );
        assertEquals(layer.together[a][b], both.length);
      }
    }
  }
  const [{ from, to, counts }] = flows;
  assertEquals([flows.length, from, to], [1, 0, 1]);
  const pairs = tokens.flatMap(({ layers: [one, other] }) => {
    const [a, b] = [firstExpert(one), firstExpert(other)];
    return a === null || b === null ? [] : [`${a} ${b}`];
  });
  for (let a = 0; a < 8; a++) {
    for (let b = 0; b < 8; b++) {
      assertEquals(counts[a][b], pairs.filter((pair) => pair === `${a} ${b}`).length);
    }
  }
});

/** What each expert's mean output adds to the scores of the vocabulary, in plain loops. */
async function scoresOf(model: Model, at: number, first: readonly (number | null)[]): Promise<number[][]> {
  using _scope = memory(backend);
  const pass = { training: false, step: given.step, random: random(0), backend };
  const { layers } = await model.forward({ tokenId_T: tokenId, sequences: given.sequences }, pass);
  const [y, residual] = await Promise.all([layers[at].y_TD.read(), layers[at].residual_TD!.read()]);
  const { D } = model.spec;
  const [table, gain] = await Promise.all([model.params.embedding.read(), model.params.norm.read()]);
  const meanOf = (tokens: readonly number[]) =>
    Array.from(
      { length: D },
      (_, d) => tokens.reduce((sum, t) => sum + y[t * D + d] - residual[t * D + d], 0) / tokens.length,
    );
  const all = meanOf(first.map((_, t) => t));
  return Array.from({ length: 8 }, (_, e) => {
    const own = first.flatMap((one, t) => one === e ? [t] : []);
    if (own.length === 0) return [];
    const mean = meanOf(own);
    return Array.from(
      { length: table.length / D },
      (_, v) => mean.reduce((sum, value, d) => sum + (value - all[d]) * gain[d] * table[v * D + d], 0),
    );
  });
}

Deno.test("the words that an expert promotes score highest by its mean output above the layer's", async () => {
  using found = await inspected("switch");
  const { trainer: { model }, inspection: { layers, tokens } } = found;
  for (const [at, { promoted }] of layers.entries()) {
    const scores = await scoresOf(model, at, tokens.map(({ layers }) => firstExpert(layers[at])));
    scores.forEach((row, expert) => {
      const rows = promoted![expert];
      assertEquals(rows.length, row.length === 0 ? 0 : 8);
      const least = Math.min(...rows.map((v) => row[v]));
      const best = row.toSorted((a, b) => b - a)[7];
      if (row.length > 0) assertAlmostEquals(least, best, 1e-5 * Math.abs(best));
    });
  }
});

Deno.test("experts that every token goes to are in no figure", async () => {
  using found = await inspected("deepseek", { k: 2, shared: 1 });
  for (const { shared, tokens, together } of found.inspection.layers) {
    assertEquals([shared, tokens[0]], [1, 0]);
    assertEquals(tokens.reduce((sum, count) => sum + count), T);
    assertEquals(together[0].reduce((sum, count) => sum + count), 0);
  }
});

Deno.test("partners are a multiple of what chance gives", () => {
  // Two experts have no choice of partner.
  assertEquals(partners([[0, 4], [4, 0]]), [[null, 1], [1, null]]);
  // 0 works with 1 three times and with 2 once; 1 and 2 once together. All pairings: 4 + 4 + 2 = 10.
  const found = partners([[0, 3, 1], [3, 0, 1], [1, 1, 0]]);
  // Of 0's partners 3 in 4 are 1, which is 4 of the 6 pairings of others.
  assertEquals(found[0], [null, 3 / 4 * 6 / 4, 1 / 4 * 6 / 2]);
  assertEquals(found[2], [1 / 2 * 8 / 4, 1 / 2 * 8 / 4, null]);
  assertEquals(partners([[0, 0], [0, 0]]), [[null, null], [null, null]]);
});

Deno.test("a margin needs a distribution; quantiles lie between neighbours", () => {
  const token = { layer: 0, wanted: [], kept: [], dropped: [], probability: [0.2, 0.5, 0.3] };
  assertAlmostEquals(marginOf(token)!, 0.2);
  assertAlmostEquals(marginOf(token, 1)!, 0.2);
  assertAlmostEquals(marginOf(token, 2)!, 0.3);
  assertEquals(marginOf({ ...token, probability: null }), null);
  assertEquals([0, 0.25, 0.5, 1].map((level) => quantile([4, 1, 2, 3], level)), [1, 1.75, 2.5, 4]);
});

Deno.test("tokens that change expert are counted layer by layer", async () => {
  using found = await inspected("switch");
  const { inspection, trainer } = found;
  assertEquals(changedExperts(inspection, inspection), [{ layer: 0, share: 0 }, { layer: 1, share: 0 }]);
  for (let step = 0; step < 2; step++) await trainer.step();
  const later = await inspectRouting(trainer.model, backend, { ...given, step: 6 });
  const [{ share }] = changedExperts(inspection, later);
  const moved = inspection.tokens.filter(({ layers }, t) =>
    firstExpert(layers[0]) !== firstExpert(later.tokens[t].layers[0])
  );
  assertEquals(share, moved.length / T);
  const fewer = await inspectRouting(trainer.model, backend, {
    ...given,
    tokenId: tokenId.subarray(0, 4),
    sequences: equalSequences(1, 4),
  });
  assertThrows(() => changedExperts(inspection, fewer), RangeError, "other tokens");
});

const names = {
  texts: Array.from(tokenId, (id) => ` <w${id}>\u001b`),
  starts: [0, 32],
  nameOf: (row: number) => `<w${row}>`,
};
const about = { title: "Routing of <x>", lead: "y", meta: "z", changes: ["Layer 0: 3%."] };

Deno.test("text and page show every layer, and names cannot break them", async () => {
  using found = await inspected("gshard");
  const { inspection } = found;
  const plain = inspectionText(inspection, names, { most: 40, colored: false });
  assert(!plain.includes("\u001b"), "control characters reached the terminal");
  const first = firstExpert(inspection.tokens[0].layers[0]);
  assertStringIncludes(plain, `Layer 0, by expert (number behind the token)\n<w0>�/${first ?? "-"}`);
  assertStringIncludes(plain, "Layer 0 to 1: the expert in the one tells ");
  const colored = inspectionText(inspection, names, { most: 40, colored: true });
  assert(colored.includes("\u001b[30;48;5;"), "no colours");
  const html = inspectionPage(about, inspection, names, 40);
  const { document } = parseHTML(html) as unknown as {
    document: { querySelectorAll(text: string): Iterable<{ textContent: string }> };
  };
  const tokens = [...document.querySelectorAll(".token")];
  assertEquals(tokens.length, 2 * 40);
  assertEquals(tokens[0].textContent, ` <w0>\u001b${first ?? "–"}`);
  assertEquals([...document.querySelectorAll("h2")].map(({ textContent }) => textContent), [
    "In short",
    "Text by expert",
    "Margins",
    "From layer to layer",
    "Experts together",
    "Words that experts promote",
  ]);
  assert(!/NaN|undefined|<w\d/.test(html), "a name is no text, or a value does not exist");
});

const inspect = (...words: string[]) => runTask("inspect", words);

Deno.test("the command shows a kept model on its task's examples, and refuses what it cannot read", async () => {
  const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));
  const settings = configOf({ ...recall.defaults, ...few, "task.name": "recall", "task.facts": 64 });
  using trainer = await createTrainer(settings, { backend, data });
  await trainer.step();
  await trainer.saveModel(`${folder}/early.model.safetensors`);
  await trainer.step();
  await trainer.saveModel(`${folder}/late.model.safetensors`);
  const { code, out, error } = await inspect(
    ...[`${folder}/late`, "--against", `${folder}/early`, "--json", "--out", `${folder}/page.html`],
  );
  assertEquals([code, error], [0, ""]);
  const found: Inspection & { tokens: { text: string }[]; changes: string[]; step: number } = JSON.parse(out);
  assertEquals(found.step, 2);
  const [examples] = data.evaluationExamples(settings.train);
  assertEquals(found.tokens.length, examples.tokenId.length);
  assertEquals(found.tokens[0].tokenId, examples.tokenId[0]);
  assertStringIncludes(found.changes[0], "after 1 steps");
  assertStringIncludes(await Deno.readTextFile(`${folder}/page.html`), "Text by expert");
  for (
    const [words, reason] of [
      [[`${folder}/late`, "--text", "hello"], 'its task "recall" is not of text'],
      [[`${folder}/none`], "no such file"],
      [[], "name one run"],
      [[`${folder}/late`, "--text", "x", "--batches", "2"], "Cannot use --batches 2 with --text"],
    ] as const
  ) {
    const refused = await inspect(...words);
    assertEquals(refused.code, 1);
    assert(/^Cannot [^\n]+\n$/.test(refused.error), refused.error);
    assertStringIncludes(refused.error, reason);
  }
});
