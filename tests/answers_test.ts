// Right answers: counted token by token against scores, packed into bits, and compared by McNemar on the same tokens.
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { createModel } from "../models/model.ts";
import { answerRows, discordant } from "../report/answers.ts";
import { judgings } from "../report/claims.ts";
import { mcnemar, wilson } from "../report/counts.ts";
import { renderReport } from "../report/report.ts";
import { summaryData } from "../report/summary_data.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { memory } from "../tensor/memory.ts";
import { countAnswers } from "../training/answers.ts";
import { configOf } from "../training/config.ts";
import { batchOf, evaluateInDetail, evaluationPlan } from "../training/evaluate.ts";
import type { Answers, Control, RunRecord } from "../training/record.ts";
import { specOf } from "../training/spec_of.ts";
import { runWith } from "./made_up_runs.ts";

/** Answers to tokens of class 0: a 1 is right. */
function answersOf(marks: string): Answers {
  const counter = countAnswers();
  counter.add(new Int32Array(marks.length), Int32Array.from(marks, (mark) => mark === "1" ? 0 : 1));
  return counter.finish()!;
}

Deno.test("bits follow each other over batches, and tokens without a target are left out", () => {
  const counter = countAnswers();
  assertEquals(counter.finish(), null);
  counter.add(Int32Array.of(3, -1, 2), Int32Array.of(3, 0, 1));
  counter.add(Int32Array.of(0, 1, 5, 4, 4, 4, 2), Int32Array.of(0, 1, 5, 0, 0, 4, 2));
  // 1 0 | 1 1 1 0 0 1 1
  assertEquals(counter.finish(), { right: 6, of: 9, bits: btoa("\xb9\x80") });
});

Deno.test("tokens that only one of two models answers right", () => {
  assertEquals(discordant(answersOf("1111100001"), answersOf("1010011001")), [3, 2]);
  assertEquals(discordant(answersOf("11"), answersOf("111")), null);
  const short = { ...answersOf("11"), bits: "" };
  assertThrows(() => discordant(short, short), RangeError, "2 tokens take 1 bytes, and there are 0 and 0");
});

Deno.test("a model's answers are the classes of its highest scores", async () => {
  const recall = findTask("recall");
  const data = await recall.load(parseTaskOptions(recall, { facts: 200 })) as TaskData;
  const config = configOf(recall.defaults, { "task.name": "recall", "task.facts": 200, "train.length": 64 });
  using backend = await cpu({ threads: 1 });
  using model = createModel(specOf(config, data), createInit(backend, random(0)));
  const plan = evaluationPlan(config, data);
  const found = await evaluateInDetail(model, { backend, data, plan, step: 0 });
  let right = 0;
  for (const batch of plan) {
    using _scope = memory(backend);
    const { target_T: _, ...untold } = batchOf(batch);
    const { logits_TV } = await model.forward(untold, {
      training: false,
      step: 0,
      random: random(0),
      backend,
    });
    const score = await logits_TV!.read();
    batch.target.forEach((target, t) => {
      const row = [...score.slice(t * 64, t * 64 + 64)];
      if (row.indexOf(Math.max(...row)) === target) right++;
    });
  }
  assertEquals([found.answers!.right, found.answers!.of], [right, 200]);
  assert(right > 0);
});

/** Runs of two routers and controls in two seeds, with answers to 40 tokens each. */
function answered(): RunRecord[] {
  const right: Readonly<Record<string, readonly number[]>> = { switch: [20, 22], mine: [36, 22] };
  const losses = { switch: 0.4, mine: 0.3 };
  const routers = Object.entries(losses).flatMap(([name, loss]) =>
    [0, 1].map((seed): RunRecord => {
      const run = runWith(name, seed, loss + seed / 100, { task: "recall" });
      const marks = "1".repeat(right[name][seed]).padEnd(40, "0");
      return { ...run, end: { ...run.end!, answers: answersOf(marks) } };
    })
  );
  const controls: Readonly<Partial<Record<Control, number>>> = {
    ...{ "no experts": 2, "random routing": 1.5, "dense, equal FLOPs": 1.3 },
    ...{ "dense, equal parameters": 0.5, "best known routing": 0.2 },
  };
  return [
    ...routers,
    ...Object.entries(controls).flatMap(([control, loss]) =>
      [0, 1].map((seed) => runWith(control, seed, loss, { control: control as Control, task: "recall" }))
    ),
  ];
}

Deno.test("a report tells shares with Wilson's interval, and in which seeds McNemar finds models to differ", () => {
  const runs = answered();
  const rows = answerRows(judgings(runs, [], {})[0]);
  assertEquals(rows.map(({ series: { name } }) => name), ["mine", "switch"], "controls have none here");
  const [mine, baseline] = rows;
  assertAlmostEquals(mine.share.mean, (36 + 22) / 80, 1e-12);
  assertEquals([mine.fewest.share, mine.fewest.interval], [22 / 40, wilson(22, 40)]);
  assertEquals([mine.most.share, mine.most.interval], [36 / 40, wilson(36, 40)]);
  // Seed 0: 16 tokens only it answers right; in seed 1 both answer the same.
  assert(mcnemar(16, 0) < 0.05 / 2);
  assertEquals([mine.against, baseline.against], [{ better: 1, worse: 0, of: 2 }, null]);
  const [{ rows: data }] = summaryData(runs, []).comparisons;
  assertAlmostEquals(data[0].rightShare!.mean, 0.725, 1e-12);
  assertEquals(data.at(-1)!.rightShare, null);
  const page = renderReport({ name: "n", about: "a", command: "c", date: "2026-11-29" }, runs, []);
  assertStringIncludes(page, "Held-out tokens answered right");
  assertStringIncludes(page, "<td>1 of 2</td><td>0 of 2</td>");
  const apart = answerRows(judgings(runs.filter(({ header }) => !header.control), [], {})[0]);
  assertEquals(apart.map((row) => row.against), [null, null], "without controls nothing is ranked");
});
