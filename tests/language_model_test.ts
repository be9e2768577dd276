// What the language model does at its edge: which tokens its mean loss counts, what padding and missing tokens change, and
// which batches it refuses.
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { type Batch, createModel, type Model } from "../models/model.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences, sequencesOf } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";
import { scoreFunctionLoss, weightedMeanLoss } from "../training/score_function.ts";
import { specOf } from "../training/spec_of.ts";
import { tinyConfig, wordsAlone } from "./run_configs.ts";

const V = 40;
const backend = await cpu({ threads: 1 });
const modelWith = (router: string, options: Record<string, unknown> = {}): Model =>
  createModel(specOf(tinyConfig(router, options), wordsAlone(V)), createInit(backend, random(1)));
const model = modelWith("hash");
addEventListener("unload", () => backend.close());

function idsOf(T: number): Int32Array {
  return Int32Array.from(random(2).uniform(T), (u) => Math.floor(V * u));
}

async function lossOf(batch: Batch, on = model): Promise<{ mean: number; each: number[]; head: number[] }> {
  using _scope = memory(backend);
  const { loss, loss_T } = await on.forward(batch, { training: true, step: 0, random: random(3) });
  const [gradient] = await gradients(loss!, [on.params.embedding]);
  return { mean: await scalar(loss!), each: [...await loss_T!.read()], head: [...await gradient!.read()] };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

Deno.test("the mean loss is over tokens that have a target", async () => {
  const T = 64;
  const sequences = equalSequences(2, 32);
  const tokenId_T = idsOf(T);
  const target_T = tokenId_T.map((id) => (id + 1) % V);
  const { each } = await lossOf({ tokenId_T, target_T, sequences });
  for (const counts of [(t: number) => t % 2 === 0, (t: number) => t === 17]) {
    const some = target_T.map((target, t) => counts(t) ? target : -1);
    const kept = each.filter((_, t) => counts(t));
    const found = await lossOf({ tokenId_T, target_T: some, sequences });
    assertAlmostEquals(found.mean, sum(kept) / kept.length, 1e-5);
    assertEquals(found.each, each.map((loss, t) => counts(t) ? loss : 0));
    assert(found.head.every(Number.isFinite));
  }
  const none = await lossOf({ tokenId_T, target_T: new Int32Array(T).fill(-1), sequences });
  assertEquals([none.mean, sum(none.each), none.head.filter((value) => value !== 0)], [0, 0, []]);
});

Deno.test("no tokens: a loss of 0, and gradients of 0", async () => {
  for (const sequences of [sequencesOf([]), sequencesOf([0, 0])]) {
    const found = await lossOf({ tokenId_T: idsOf(0), target_T: idsOf(0), sequences });
    assertEquals([found.mean, found.each, found.head.filter((value) => value !== 0)], [0, [], []]);
  }
});

Deno.test("padding behind its end changes nothing for a sequence, and its own losses are not there", async () => {
  const routed = modelWith("deepseek", { k: 1 });
  const [length, padded] = [7, 12];
  const [id, target] = [idsOf(length), idsOf(length).map((id) => (id + 1) % V)];
  const behind = (values: Int32Array, value: number) =>
    Int32Array.from({ length: padded }, (_, t) => t < length ? values[t] : value);
  const own = await lossOf(
    { tokenId_T: id, target_T: target, sequences: sequencesOf([length]) },
    routed,
  );
  const found = await lossOf({
    tokenId_T: behind(id, 3),
    target_T: behind(target, -1),
    real_T: Float32Array.from({ length: padded }, (_, t) => t < length ? 1 : 0),
    sequences: sequencesOf([padded]),
  }, routed);
  assertEquals(found.each, [...own.each, ...new Array<number>(padded - length).fill(0)]);
  assertEquals(found.mean, own.mean);
});

Deno.test("a score function counts tokens that have a target, as the loss does", async () => {
  using _scope = memory(backend);
  const [f, logP, w] = [[2, 5, 3], [-1, -2, -4], [1, 0.5, 2]].map((values) => tensor(backend, values, [3]));
  const estimator = { logProbability_T: logP, importance_T: w, baseline: 1 };
  assertAlmostEquals(await scalar(scoreFunctionLoss(f, estimator)), (-1 - 4 - 16) / 3, 1e-6);
  const targets = { count: 2, mask_T: tensor(backend, [1, 0, 1], [3]) };
  assertAlmostEquals(await scalar(scoreFunctionLoss(f, estimator, targets)), (-1 - 16) / 2, 1e-6);
  assertAlmostEquals(await scalar(weightedMeanLoss(f, estimator, targets)), (2 + 6) / 3, 1e-6);
});

Deno.test("ids and targets outside the vocabulary, and arrays of other lengths, are refused", async () => {
  const batch: Batch = {
    tokenId_T: Int32Array.of(0, 1, V - 1),
    target_T: Int32Array.of(-1, V - 1, 0),
    sequences: sequencesOf([1, 2]),
  };
  await lossOf(batch);
  const refused = async (change: Partial<Batch>, message: string) =>
    await assertRejects(() => lossOf({ ...batch, ...change }), RangeError, message);
  const id = (found: number) => ({ tokenId_T: Int32Array.of(0, found, 1) });
  const target = (found: number) => ({ target_T: Int32Array.of(0, found, 1) });
  await refused(id(V), "Cannot run the model: token id 40 is outside the vocabulary, 0 to 39");
  await refused(id(-1), "token id -1 is outside the vocabulary, 0 to 39");
  await refused(target(V), "target 40 is outside the vocabulary, 0 to 39, or -1 for none");
  await refused(target(-2), "target -2 is outside the vocabulary");
  await refused({ target_T: Int32Array.of(0, 1) }, "3 token ids, 2 targets");
  await refused({ sequences: sequencesOf([4]) }, "for sequences of 4 tokens");
  await refused({ real_T: new Float32Array(2) }, "2 marks of real tokens");
});
