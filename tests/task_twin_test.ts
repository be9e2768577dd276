// Twins of tasks: what they are given is the task's own, their figures are of today's tasks, and training here comes to
// what training there did.
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { readOptions, twinFiles } from "../bench/peers/task_data.ts";
import { arms, lossOf } from "../bench/peers/task_ours.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { languages } from "../tasks/languages.ts";
import { recall } from "../tasks/recall.ts";
import { regimes } from "../tasks/regimes.ts";
import { random } from "../tensor/random.ts";
import twin from "./oracles/task_twin.json" with { type: "json" };

Deno.test("twins get a task's arrays as they are, and only of tasks they can do", async () => {
  const data = await recall.load(parseTaskOptions(recall));
  const files = await twinFiles("recall", 2);
  const { steps, T, learningRates, digest } = JSON.parse(new TextDecoder().decode(files.get("task.json")));
  assertEquals([steps, T, learningRates.length, digest], [600, 512, 600, data.digest]);
  const ints = (file: string) => new Int32Array(files.get(file)!.slice().buffer);
  const shape = { batch: 1, length: T, random: random(1).split("data") };
  const { tokenId, target } = data.trainingExamples(shape)(2);
  assertEquals(ints("train_1.i32").slice(2 * 2 * T, 3 * 2 * T), Int32Array.of(...tokenId, ...target));
  assertEquals(ints("judged.i32").length, 2 * 2048);
  assertEquals(ints("group.i32"), data.bestRouting!.group_V);
  assert(data.input.kind === "vectors");
  assertEquals(new Float32Array(files.get("input.f32")!.slice().buffer), data.input.vectors.values);
  await assertRejects(
    () => twinFiles("regression", 1),
    RangeError,
    'Cannot write task "regression" for a twin',
  );
});

Deno.test("a twin of text gets windows of ids with what follows each, and the sizes of the model", async () => {
  const files = await twinFiles("languages", 1);
  const facts = JSON.parse(new TextDecoder().decode(files.get("task.json")));
  assertEquals(
    [facts.input, facts.V, facts.heads, facts.layers, facts.bias, facts.residualScale, facts.weightDecay],
    ["tokens", 256, 2, 2, false, 0.5, 0.1],
  );
  const T = facts.T;
  const batch = new Int32Array(files.get("train_0.i32")!.slice().buffer).subarray(0, 2 * T);
  // Within a window the target of a token is the next token.
  assertEquals(batch.slice(1, facts.length), batch.slice(T, T + facts.length - 1));
  assertEquals(files.get("judged.i32")!.length % (8 * T), 0);
  assertEquals(files.has("input.f32"), false);
});

Deno.test("options of a task go to its twin", async () => {
  const files = await twinFiles("regimes", 1, readOptions(["skew=1"]));
  const { digest } = JSON.parse(new TextDecoder().decode(files.get("task.json")));
  assertEquals(digest, (await regimes.load(parseTaskOptions(regimes, { skew: 1 }))).digest);
  assertNotEquals(digest, twin.tasks.regimes.digest);
  assertThrows(() => readOptions(["skew"]), RangeError, 'Cannot use "skew": write OPTION=VALUE');
});

Deno.test("the twin's figures are of today's tasks", async () => {
  assertEquals((await recall.load(parseTaskOptions(recall))).digest, twin.tasks.recall.digest);
  assertEquals((await regimes.load(parseTaskOptions(regimes))).digest, twin.tasks.regimes.digest);
  assertEquals((await languages.load(parseTaskOptions(languages))).digest, twin.tasks.languages.digest);
});

Deno.test("regimes trains here as its twin in PyTorch does", async () => {
  const data = await regimes.load(parseTaskOptions(regimes));
  const { losses } = twin.tasks.regimes;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  // A tenth of the way from random to best routing is 0.13; seeds of these arms scatter by less than half of that.
  const tenth = (mean(losses.random) - mean(losses.best)) / 10;
  for (const arm of ["no experts", "random", "best", "dense", "top-2"] as const) {
    const ours = await lossOf(data, { "task.name": "regimes", ...regimes.defaults, ...arms[arm], seed: 0 });
    assert(Math.abs(ours - mean(losses[arm])) < tenth, `${arm}: ${ours}, twin ${losses[arm]}`);
  }
});
