// Tuning: the same budget and the same draws for every variant, on a seed and held-out batches that do not judge.
import { assert, assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { RunPlan } from "../experiments/run_plan.ts";
import {
  chooseBest,
  planTrials,
  readTuning,
  TUNING_SEED,
  tuningSentences,
  withTuned,
} from "../experiments/tune.ts";
import type { RunRecord } from "../training/record.ts";
import { namesOf } from "../training/run_rows.ts";
import { tinyConfig } from "./run_configs.ts";

function planOf(router: string, seed: number, control: "random routing" | null = null): RunPlan {
  const config = tinyConfig(router, {}, { seed, control });
  return { config, names: namesOf(config), dataKey: "made up" };
}

const plans = [0, 1].flatMap((seed) => [
  planOf("switch", seed),
  planOf("hash", seed),
  planOf("switch", seed, "random routing"),
]);
const tuning = readTuning("train.learningRate,router.balance", 4);

/** A record with nothing but a name and a loss. */
function ended(run: string, loss: number): RunRecord {
  const header = { kind: "run", run } as RunRecord["header"];
  return { header, steps: [], evaluations: [], end: { kind: "end", loss } as NonNullable<RunRecord["end"]> };
}

Deno.test("every variant gets the budget, its own settings first, and draws from the same places", () => {
  const trials = planTrials(plans, tuning);
  const of = (name: string) => trials.filter((trial) => trial.of.names.label === name);
  assertEquals([of("switch").length, of("hash").length, of("random routing").length], [4, 4, 4]);
  assertEquals(trials.length, 12);
  assertEquals(of("switch")[0].values, {});
  for (let at = 1; at < 4; at++) {
    const [own, other] = [of("switch")[at].values, of("hash")[at].values];
    assertEquals(own["train.learningRate"], other["train.learningRate"]);
    // Hash has no balance loss to weigh.
    assertEquals([Object.keys(own).length, Object.keys(other).length], [2, 1]);
    assert(own["train.learningRate"] > 5e-4 && own["train.learningRate"] < 5e-2);
  }
  // A control has no router to tune, though its config names one.
  for (const { values } of of("random routing").slice(1)) {
    assertEquals(Object.keys(values), ["train.learningRate"]);
  }
  assertNotEquals(of("switch")[1].values, of("switch")[2].values);
  assertEquals(planTrials(plans, tuning), trials);
});

Deno.test("trials share neither seed nor held-out batches with what is judged", () => {
  const trials = planTrials(plans, tuning);
  const losses = trials.map(({ plan }, at) => ended(plan.names.run, 3 - at * 0.1));
  const tuned = chooseBest(trials, losses, new Map());
  assertEquals(tuned.map(({ loss }) => loss.toFixed(1)), ["2.7", "2.3", "1.9"]);
  const judged = withTuned(plans, tuned);
  assertEquals(judged.map(({ names }) => names.label), [
    ...["switch", "switch, tuned", "hash", "hash, tuned", "random routing"],
    ...["switch", "switch, tuned", "hash", "hash, tuned", "random routing"],
  ]);
  const parts = (some: readonly RunPlan[]) => new Set(some.map(({ config }) => config.train.evaluationPart));
  assertEquals([parts(trials.map(({ plan }) => plan)), parts(judged)], [new Set(["odd"]), new Set(["even"])]);
  assertEquals(new Set(trials.map(({ plan }) => plan.config.seed)), new Set([TUNING_SEED]));
  const [, best] = judged;
  assertEquals(best.config.train.learningRate, tuned[0].best.values["train.learningRate"]);
  assertEquals(best.config.router.balance, tuned[0].best.values["router.balance"]);
  // A control runs at its best settings alone, on all seeds, and keeps its name.
  const controls = judged.filter(({ config }) => config.control !== null);
  assertEquals(controls.map(({ config }) => config.train.learningRate), [
    tuned[2].best.values["train.learningRate"],
    tuned[2].best.values["train.learningRate"],
  ]);
  assertEquals(
    controls.map(({ names }) => names.run),
    plans.slice(2).filter((_, at) => at % 3 === 0).map(({ names }) => names.run),
  );
  assertStringIncludes(
    tuningSentences(tuned, plans)[2],
    "of 4 trials (seed 1000000, held-out batches that do not judge); as a control it runs at these alone.",
  );
  assertEquals(new Set(judged.map(({ names }) => names.run)).size, judged.length);
});

Deno.test("a failed trial has no loss; all of them failed, or a path without a range, is refused", () => {
  const trials = planTrials(plans.slice(0, 1), tuning);
  const [found] = chooseBest(trials, [ended(trials[2].plan.names.run, 1.5)], new Map());
  assertEquals(found.trials.map(({ loss }) => loss), [null, null, 1.5, null]);
  assertEquals(found.best, trials[2]);
  const failed = new Map([[trials[0].plan.names.run, "the loss is NaN"]]);
  assertThrows(
    () => chooseBest(trials, [], failed),
    RangeError,
    'Cannot tune switch on language: all of its trials failed, the first with "the loss is NaN"',
  );
  const zero = () => planTrials(plans.slice(0, 1), readTuning("router.z", 2));
  assertThrows(zero, RangeError, "Cannot tune router.z of switch: its value is 0; give a range");
  assertEquals(planTrials(plans.slice(0, 1), readTuning("router.z=1e-4..1e-2", 2)).length, 2);
  assertThrows(() => readTuning("steps", 2), RangeError, 'Cannot tune "steps": write a path');
  assertThrows(() => readTuning("train.steps=9..2", 2), RangeError, "choose a range from above 0");
  const balance = planTrials(
    plans.filter(({ names }) => names.label !== "hash"),
    readTuning("router.balance", 2),
  );
  assertEquals(balance.map(({ of }) => of.names.label), ["switch", "switch"]);
  const [best] = chooseBest(balance, [ended(balance[1].plan.names.run, 1)], new Map());
  assertEquals(
    tuningSentences([best], plans).at(-1),
    "Controls keep their own settings: what was tuned are routers' options.",
  );
  const none = () => planTrials([planOf("hash", 0)], readTuning("router.balance", 2));
  assertThrows(none, RangeError, "Cannot tune hash: it has none of router.balance");
});
