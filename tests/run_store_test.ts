// What a save costs, and what the files of a stopped run hold: the same after any number of steps.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { renderReport } from "../report/report.ts";
import type { RecordRow, TimingRecord } from "../training/record.ts";
import { parseRecord, recordRows, recordText } from "../training/record_text.ts";
import { openRunStore } from "../training/run_store.ts";
import { train } from "../training/train.ts";
import { createTrainer } from "../training/trainer.ts";
import { cpu } from "../cpu/backend.ts";
import { testDamagedRuns } from "./damaged_runs.ts";
import { recordOf, routers, runsOf } from "./made_up_runs.ts";
import { inOwnFolder } from "./own_folder.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const made = recordOf(routers.switch, 0, { steps: 2, experts: 2 });
const weights = { weight: { values: Float32Array.of(1, 2), shape: [2] } };

/** Rows and timings of a run that has taken `steps` steps. */
function soFar(steps: number): { rows: RecordRow[]; timing: TimingRecord } {
  const rows: RecordRow[] = [made.header];
  for (let step = 0; step < steps; step++) rows.push({ ...made.steps[0], step });
  const timed = Array.from({ length: steps }, (_, step) => ({ step, seconds: 0.01, stages: { rest: 0.01 } }));
  return { rows, timing: { run: made.header.run, threads: 1, machine: "a laptop", steps: timed } };
}

function bytesIn(folder: string): number {
  return [...Deno.readDirSync(folder)].reduce(
    (sum, { name }) => sum + Deno.statSync(`${folder}/${name}`).size,
    0,
  );
}

Deno.test("a run of 130,000 steps is saved, and goes on", () =>
  inOwnFolder(async (folder) => {
    const store = openRunStore(folder, made.header.run);
    const { rows, timing } = soFar(130_000);
    await store.save(rows, timing, weights, { own: "text" });
    const saved = (await openRunStore(folder, made.header.run).saved())!;
    assertEquals(saved.record.steps.length, 130_000);
    assertEquals(saved.timing.steps.length, 130_000);
    assertEquals(saved.metadata, { own: "text" });
    assertEquals(recordRows(saved.record).length, 130_001);
  }));

Deno.test("a save writes the rows that are new, however many there are", () =>
  inOwnFolder(async (folder) => {
    const store = openRunStore(folder, made.header.run);
    const { rows, timing } = soFar(20_100);
    const upTo = (steps: number) =>
      store.save(rows.slice(0, steps + 1), { ...timing, steps: timing.steps.slice(0, steps) }, weights, {});
    // What a save adds to the files, early and late; the checkpoint itself is replaced by one of its own size.
    const grown: number[] = [];
    for (const steps of [50, 100, 20_000, 20_050, 20_100]) {
      const before = bytesIn(folder);
      await upTo(steps);
      grown.push(bytesIn(folder) - before);
    }
    const [, early, , late, last] = grown;
    // Step numbers have more digits late in a run: 3 more in a row and in its timing.
    assert(
      late - early < 50 * 2 * 4 + 64,
      `50 steps took ${early} bytes at step 100 and ${late} at step 20,050`,
    );
    assert(Math.abs(last - late) < 64);
    // Opened for appending: what was written before keeps its place and its time of birth.
    const saved = (await openRunStore(folder, made.header.run).saved())!;
    assertEquals(recordText(recordRows(saved.record)), recordText(rows));
  }));

Deno.test("rows that a killed run wrote after its checkpoint are written over", () =>
  inOwnFolder(async (folder) => {
    const { rows, timing } = soFar(4);
    const save = async (steps: number, store = openRunStore(folder, made.header.run)) => {
      await store.saved();
      await store.save(
        rows.slice(0, steps + 1),
        { ...timing, steps: timing.steps.slice(0, steps) },
        weights,
        {},
      );
    };
    await save(2);
    const rowsPath = `${folder}/${made.header.run}.unfinished.jsonl`;
    await Deno.writeTextFile(rowsPath, '{"kind":"step","st', { append: true });
    assertEquals((await openRunStore(folder, made.header.run).saved())!.record.steps.length, 2);
    await save(3);
    assertEquals(await Deno.readTextFile(rowsPath), recordText(rows.slice(0, 4)));
    const store = openRunStore(folder, made.header.run);
    await store.saved();
    await store.finish(rows, timing);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "switch-seed0.jsonl",
      "switch-seed0.timing.json",
    ]);
    assertEquals(await Deno.readTextFile(`${folder}/switch-seed0.jsonl`), recordText(rows));
  }));

Deno.test("rows that are not what was saved are refused by name", () =>
  inOwnFolder(async (folder) => {
    const { rows, timing } = soFar(3);
    const open = () => openRunStore(folder, made.header.run);
    await open().save(rows, timing, weights, {});
    for (const end of ["jsonl", "timing.jsonl"]) {
      const path = `${folder}/${made.header.run}.unfinished.${end}`;
      const whole = await Deno.readFile(path);
      const flipped = whole.slice();
      flipped[whole.length - 4] ^= 1;
      for (const damaged of [flipped, whole.subarray(0, whole.length - 9)]) {
        await Deno.writeFile(path, damaged);
        await assertRejects(
          () => open().saved(),
          RangeError,
          `Cannot resume switch-seed0: ${path} is damaged: it is not what was written up to the last checkpoint; ` +
            "remove the run's files to train it anew",
        );
      }
      await Deno.remove(path);
      await assertRejects(() => open().saved(), Error, `Cannot read ${path}: no such file or folder`);
      await Deno.writeFile(path, whole);
    }
    assertEquals((await open().saved())!.record.steps.length, 3);
  }));

testDamagedRuns({ flips: 400, cutEvery: 9 });

Deno.test("train.recordEvery thins the record of a long run and leaves the run as it is", async () => {
  const folder = await Deno.makeTempDir();
  const backend = await cpu({ threads: 1 });
  const data = await madeUpData();
  const settings = { "train.steps": 8, "train.evaluations": 8 };
  const config = (every: number) =>
    tinyConfig("switch", {}, least, { ...settings, "train.recordEvery": every });
  using all = await train(config(1), { backend, data });
  const store = openRunStore(folder, "switch-seed0");
  {
    using stopped = await createTrainer(config(3), { backend, data, store });
    while (stopped.steps < 4) await stopped.step();
    await stopped.save();
  }
  using thinned = await train(config(3), { backend, data, store, resume: true });
  assertEquals(thinned.record.steps.map(({ step }) => step), [0, 3, 6, 7]);
  assertEquals(thinned.timing.steps.map(({ step }) => step), [0, 3, 6, 7]);
  assertEquals(thinned.record.evaluations, all.record.evaluations);
  assertEquals(thinned.record.end, all.record.end);
  assertEquals(parseRecord(recordText(recordRows(thinned.record)), "mine"), thinned.record);
  backend.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a run that went on with other threads says so, and its seconds stay out of the table", async () => {
  const folder = await Deno.makeTempDir();
  const backend = await cpu({ threads: 1 });
  const data = await madeUpData();
  const config = tinyConfig("switch", {}, least, { "train.steps": 4 });
  const at = (threads: number) => ({
    backend,
    data,
    store: openRunStore(folder, "switch-seed0"),
    machine: { threads, machine: "a laptop" },
  });
  {
    using stopped = await createTrainer(config, at(1));
    await stopped.step();
    await stopped.save();
  }
  using again = await createTrainer(config, { ...at(1), resume: true });
  assertEquals(again.timing().resumed, undefined);
  using resumed = await train(config, { ...at(2), resume: true });
  assertEquals(resumed.timing.resumed, [{ step: 1, threads: 2, machine: "a laptop" }]);
  backend.close();
  await Deno.remove(folder, { recursive: true });

  const { runs, timings } = runsOf(3, [routers.switch, routers.gshard]);
  const mixed = timings.map((timing) =>
    timing.run.startsWith("gshard") ? { ...timing, resumed: resumed.timing.resumed! } : timing
  );
  const about = { name: "compare", about: "", command: "", date: "2026-11-29" };
  const text = renderReport(about, runs, mixed);
  const line = "Timings from one machine with one number of threads";
  assertStringIncludes(text.slice(text.indexOf(line)), "runs that went on elsewhere have no seconds a step");
  assert(!renderReport(about, runs, timings).includes("went on elsewhere"));
});

Deno.test("NaN and infinities come back from a record as what they are", () => {
  const values = { NaN, low: -Infinity, high: Infinity, none: 0.5 };
  const row = { ...made.steps[0], losses: values };
  const header = { ...made.header, router: "NaN" };
  const text = recordText([header, row]);
  assertStringIncludes(text, '"losses":{"NaN":"NaN","low":"-Infinity","high":"Infinity","none":0.5}');
  const record = parseRecord(text, "mine");
  assertEquals(record.steps[0].losses, values);
  assertEquals(record.header.router, "NaN");
});
