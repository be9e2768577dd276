// Parts of the playground that need no page: addresses, fields from schemas, the gate of a run, what is looked at.
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { addressOf, stateOf } from "../playground/address.ts";
import { ticksBetween } from "../playground/charts/scale.ts";
import { fieldsOf, settingFields } from "../playground/form/fields.ts";
import { withGuards } from "../playground/own/guards.ts";
import { compileRouter } from "../playground/own/compile.ts";
import { ProgramError } from "../playground/own/problem.ts";
import { createLoopGuard } from "../playground/run/loop_guard.ts";
import { createGate } from "../playground/run/gate.ts";
import { sceneOf } from "../playground/run/scene.ts";
import { initialState, namesOf, runConfigOf } from "../playground/state.ts";
import { countTopics } from "../playground/views/scene/topics.ts";
import { optionNames, routers } from "../routers/registry.ts";
import { recall } from "../tasks/recall.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { createTrainer } from "../training/trainer.ts";
import { madeUpData } from "./run_configs.ts";

Deno.test("an address holds what differs from the page as it opens, and nothing else", () => {
  assertEquals(addressOf(initialState), "");
  const state = {
    ...initialState,
    task: "recall",
    settings: { "train.steps": 20, "task.facts": 64, seed: 2 },
    router: { name: "gshard", options: { balance: 0.5, normalize: "after" } },
    beside: { name: "switch", options: { outputScale: "times experts" } },
    sentence: "1984",
  } as const;
  assertEquals(stateOf(addressOf(state)), state);
  assertEquals(stateOf(""), initialState);
});

Deno.test("an address that cannot be used is refused by name", () => {
  for (
    const [address, message] of [
      ["task=chess", 'Cannot find task "chess" in the playground: there are "regimes"'],
      ["size=huge", 'Cannot find size "huge": task "regimes" has "tiny"'],
      ["router=swich", 'Cannot find router "swich": did you mean "switch"? there are "'],
      ["beside.k=2&beside=gshard", 'Cannot set k = 2 of router "gshard"'],
      ["train.stpes=2", "Cannot set train.stpes = 2: did you mean steps? train has steps"],
      ["device=tpu", 'Cannot use device "tpu": there are "cpu", "webgpu"'],
      ["colour=red", 'Cannot use "colour" of this address: there are task, size'],
    ]
  ) assertThrows(() => stateOf(address), RangeError, message);
});

Deno.test("every option of every router has a field, with its values where they are named", () => {
  let choices = 0;
  for (const router of routers()) {
    const fields = fieldsOf(router.options);
    assertEquals(fields.map(({ name }) => name), optionNames(router));
    for (const { kind, choices: named, about, range } of fields) {
      assert(about !== "" && range !== "");
      assertEquals(kind === "choice", named.length > 0);
      choices += named.length;
    }
  }
  assert(choices > 30);
  const [steps] = settingFields("train");
  assertEquals(steps, {
    name: "steps",
    about: "training steps",
    kind: "text",
    choices: [],
    range: "whole number from 1",
  });
});

Deno.test("two runs of one router are told apart by what differs", () => {
  const state = stateOf("router.capacityFactor=2&router.jitter=0&beside=switch&beside.jitter=0");
  assertEquals(namesOf(state).map(({ label }) => label), [
    "switch capacityFactor=2",
    "switch capacityFactor=default",
  ]);
  assertEquals(namesOf(stateOf("beside=switch")).map(({ label }) => label), ["switch one", "switch two"]);
  assertEquals(namesOf(stateOf("beside=hash")).map(({ label }) => label), ["switch", "hash"]);
});

const state = stateOf("task=recall&task.facts=64&train.steps=6&train.length=32&model.experts=4");
const config = runConfigOf(state, state.router);
const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));

/** Trains through a gate that is closed and opened as `hold` says. */
async function gated(
  hold: (gate: ReturnType<typeof createGate>, held: () => number) => Promise<void>,
): Promise<string> {
  using backend = await cpu({ threads: 1 });
  let held = 0;
  const gate = createGate(backend, { onHeld: () => held++ });
  gate.open(Infinity);
  using trainer = await createTrainer(config, { backend: gate.backend, data });
  gate.close();
  const train = async () => {
    while (trainer.steps < 6) {
      await trainer.step();
      await gate.betweenSteps();
    }
    await trainer.finish();
  };
  const trained = train();
  await hold(gate, () => held);
  await trained;
  return recordText(recordRows(trainer.record()));
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 60));

Deno.test("a run is held in the middle of a step, goes on by steps, and has the record of one that was not", async () => {
  const plain = await gated((gate) => Promise.resolve(gate.open(Infinity)));
  const counts: number[] = [];
  const stopped = await gated(async (gate, held) => {
    for (const steps of [1, 2, Infinity]) {
      await soon();
      assert(gate.holding);
      counts.push(held());
      gate.open(steps);
    }
  });
  assertEquals(stopped, plain);
  assertEquals(counts, [1, 2, 3]);
});

Deno.test("work aside runs while a run is held, and what opens the gate meanwhile waits for it", async () => {
  using backend = await cpu({ threads: 1 });
  const gate = createGate(backend, { onHeld: () => {} });
  const buffer = gate.backend.upload(Float32Array.of(7), [1]);
  const order: string[] = [];
  const held = gate.backend.read(buffer).then(() => order.push("held"));
  await soon();
  await gate.aside(async () => {
    gate.open(1);
    await gate.backend.read(buffer);
    order.push("aside");
    await soon();
    assertEquals(order, ["aside"]);
  });
  await held;
  assertEquals(order, ["aside", "held"]);
});

Deno.test("a held-out sentence has few unknown words, and the user's says which it does not know", async () => {
  const text = await madeUpData();
  const { scene, tokenId_T } = sceneOf("sentence", text, null);
  assert(scene.kind === "sentence" && scene.words.length === 24);
  assertEquals(scene.words, Array.from(tokenId_T, (id) => text.nameOf(id)!));
  const own = sceneOf("sentence", text, `${scene.words[0].toUpperCase()} zyxw`);
  assert(own.scene.kind === "sentence");
  assertEquals(own.scene.known, [true, false]);
  assertEquals([...own.tokenId_T], [tokenId_T[0], 0]);
});

Deno.test("loops are marked with their lines, and programs do what they did", () => {
  const source = `const order = [];
for (let i = 0; i < 2; i++) order.push(i);
for (const name of ["a", "b"]) {
  if (name === "a") continue;
  order.push(name);
}
let left = 2;
do left--; while (left > 0);
outer: while (true) { for (;;) { order.push(left); break outer; } }
for (const key in { x: 1 }) ;`;
  const turns: number[] = [];
  const run = new Function("$loop", `${withGuards(source)}\nreturn order;`);
  assertEquals(run((line: number) => turns.push(line)), [0, 1, "b", 0]);
  assertEquals(turns, [2, 2, 3, 3, 8, 8, 9, 9, 10]);
  assertEquals(withGuards(source).split("\n").length, source.split("\n").length);
});

Deno.test("a router's text becomes a program whose lines stay where they are", () => {
  const program = compileRouter(
    'import * as z from "zod";\nimport type { A } from "./a.ts";\n\nexport const b: A = z.c;\n',
  );
  const exports: Record<string, unknown> = {};
  new Function("exports", "require", "$loop", program)(exports, () => ({ __esModule: true, c: 3 }));
  assertEquals(exports, { b: 3 });
  assertEquals(program.split("\n")[3].includes("z.c"), true);
  const error = assertThrows(() => compileRouter("let a;\nlet = = 2;"), ProgramError, "Unexpected token");
  assertEquals(error.line, 2);
});

Deno.test("a loop guard tells once of a loop that runs for five seconds, unless something else had its turn", () => {
  let now = 0;
  const time = { tick: (milliseconds: number) => now += milliseconds };
  const told: number[] = [];
  const guard = createLoopGuard((line) => told.push(line), () => now);
  const turns = (count: number, line: number) => {
    for (let turn = 0; turn < count; turn++) guard.loop(line);
  };
  turns(1000, 3);
  time.tick(4900);
  turns(1000, 3);
  guard.alive();
  time.tick(4900);
  turns(1000, 3);
  assertEquals(told, []);
  time.tick(200);
  turns(1000, 4);
  assertEquals(told, [4]);
});

Deno.test("tokens are counted by topic and by the experts that keep them", () => {
  const token = (...experts: number[]) => ({
    layer: 0,
    wanted: experts,
    kept: experts.map((expert) => ({ expert, weight: 1 })),
    dropped: [],
    probability: null,
  });
  const tokens = [token(0, 1), token(1), token(), undefined];
  assertEquals(countTopics(Int32Array.of(0, 1, 1, -1), 2, { E: 2, tokens }), {
    counts: [[1, 0], [1, 1]],
    totals: [1, 2],
  });
});

Deno.test("ticks are round numbers within bounds", () => {
  assertEquals(ticksBetween(0, 1, 4), [0, 0.5, 1]);
  assertEquals(ticksBetween(0.13, 0.42, 4), [0.2, 0.3, 0.4]);
  assertEquals(ticksBetween(-3, 800, 5), [0, 200, 400, 600, 800]);
  assertNotEquals(ticksBetween(5, 5, 4), []);
});
