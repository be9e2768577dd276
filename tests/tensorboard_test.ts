// TensorBoard's event files: what a run writes is read back by a reader of the tests' own, and by TensorBoard's where
// Python has it.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { crc32c } from "../formats/crc32c.ts";
import { recordEnds, scalarRecord, versionRecord } from "../formats/tensorboard_events.ts";
import type { RunConfig } from "../training/config.ts";
import type { RunRecord } from "../training/record.ts";
import { parseRecord } from "../training/record_text.ts";
import { openRunStore } from "../training/run_store.ts";
import { withTensorBoard } from "../training/tensorboard.ts";
import { train, type TrainOptions } from "../training/train.ts";
import { crcByDivision, type FoundEvent, readEvents } from "./event_file.ts";
import { inFolder, succeed } from "./experiments_command.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const FILE = "events.out.tfevents.switchyard";

/** The values of RFC 3720, B.4, and the usual check value. */
const published: readonly (readonly [bytes: Uint8Array, crc: number])[] = [
  [new Uint8Array(32), 0x8a9136aa],
  [new Uint8Array(32).fill(255), 0x62a8ab43],
  [Uint8Array.from({ length: 32 }, (_, at) => at), 0x46dd794e],
  [Uint8Array.from({ length: 32 }, (_, at) => 31 - at), 0x113fdb5c],
  [new TextEncoder().encode("123456789"), 0xe3069283],
];

Deno.test("CRC-32C has its published values", () => {
  for (const [bytes, crc] of published) assertEquals([crc32c(bytes), crcByDivision(bytes)], [crc, crc]);
});

Deno.test("a file begins with the bytes that every event file of TensorFlow begins with", () => {
  const head = Uint8Array.of(0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22, 0x09);
  assertEquals(versionRecord(1.75e9).subarray(0, head.length), head);
});

Deno.test("steps, times and values of any size come back, and names of any script", () => {
  const scalars = { "loss/größe 貨": 0.1, zero: 0, negative: -3.5e-40, none: NaN, endless: -Infinity };
  for (const step of [0, 1, 127, 128, 2 ** 31, 2 ** 40 + 3, Number.MAX_SAFE_INTEGER]) {
    const [event] = readEvents(scalarRecord({ wallTime: 1.75e9 + 1 / 3, step, scalars }));
    const stored = Object.entries(scalars).map(([tag, value]) => [tag, Math.fround(value)]);
    assertEquals(event, {
      wallTime: 1.75e9 + 1 / 3,
      step,
      version: null,
      scalars: Object.fromEntries(stored),
    });
  }
});

Deno.test("a file that is cut or damaged ends for us with its last whole record", () => {
  const records = [1, 2, 3].map((step) => scalarRecord({ wallTime: 1, step, scalars: { loss: step } }));
  const { length } = records[0];
  const file = new Uint8Array(3 * length);
  records.forEach((bytes, at) => file.set(bytes, at * length));
  for (let cut = 0; cut <= file.length; cut++) {
    assertEquals(recordEnds(file.subarray(0, cut)).length, Math.floor(cut / length), `${cut} bytes`);
  }
  for (let at = 0; at < file.length; at++) {
    const damaged = file.slice();
    damaged[at] ^= 16;
    assertEquals(recordEnds(damaged).length, Math.floor(at / length), `byte ${at}`);
  }
});

/** Scalars that a record's rows hold, by the tags that the documentation gives, from the record alone. */
function expected({ steps, evaluations }: RunRecord): Map<string, number[][]> {
  const found = new Map<string, number[][]>();
  const add = (tag: string, step: number, value: number) =>
    found.set(tag, [...found.get(tag) ?? [], [step, Math.fround(value)]]);
  for (const { step, loss, choices } of evaluations) {
    add("loss/validation", step, loss);
    for (const { layer, nearTies, changed } of choices!) {
      if (nearTies !== null) add(`near_ties/layer_${layer}`, step, nearTies);
      if (changed !== undefined) add(`changed_experts/layer_${layer}`, step, changed);
    }
  }
  for (const row of steps) {
    add("loss/training", row.step, row.loss);
    add("optimizer/learning_rate", row.step, row.learningRate);
    add("optimizer/gradient_norm", row.step, row.gradientNorm);
    for (const [name, value] of Object.entries(row.losses)) add(`router_loss/${name}`, row.step, value);
    for (const load of row.layers) {
      add(`dropped_share/layer_${load.layer}`, row.step, load.droppedShare);
      add(`load_cv/layer_${load.layer}`, row.step, load.coefficientOfVariation);
      if (load.gateEntropy !== null) add(`gate_entropy/layer_${load.layer}`, row.step, load.gateEntropy);
    }
    for (const [name, value] of Object.entries(row.scalars ?? {})) {
      const [own, layer] = name.split(", layer ");
      add(`router/${own}/layer_${layer}`, row.step, value);
    }
  }
  return found;
}

function curves(events: readonly FoundEvent[]): Map<string, number[][]> {
  const found = new Map<string, number[][]>();
  for (const { step, scalars } of events) {
    for (const [tag, value] of Object.entries(scalars)) {
      found.set(tag, [...found.get(tag) ?? [], [step, value]]);
    }
  }
  return found;
}

const sorted = (found: Map<string, unknown>) => [...found].sort(([a], [b]) => a < b ? -1 : 1);

/** Checks that a run's file holds its record, once, in order. */
function checkFile(path: string, record: RunRecord): FoundEvent[] {
  const events = readEvents(Deno.readFileSync(path));
  assertEquals(events.map(({ version }) => version === null).lastIndexOf(false), 0);
  assertEquals([events[0].version, events.length], [
    "brain.Event:2",
    1 + record.steps.length + record.evaluations.length,
  ]);
  assertEquals(sorted(curves(events)), sorted(expected(record)));
  const times = events.map(({ wallTime }) => wallTime);
  assertEquals(times, times.toSorted((a, b) => a - b));
  assert(Math.abs(times.at(-1)! - Date.now() / 1000) < 600, `${times.at(-1)}`);
  return events;
}

const data = await madeUpData();
const backend = await cpu({ threads: 1 });
globalThis.addEventListener("unload", () => backend.close());

/** A run whose router logs scalars, in two mixtures. */
const config: RunConfig = tinyConfig("top-any", { gate: "cosine" }, {
  ...least,
  "model.layers": 2,
  "model.moeEvery": 1,
  "train.steps": 24,
  "train.length": 16,
});

async function runIn(folder: string, options: Partial<TrainOptions> = {}): Promise<RunRecord> {
  const store = withTensorBoard(openRunStore(folder, "one"), folder);
  using run = await train(config, { backend, data, store, checkpointEvery: 10, ...options });
  return run.record;
}

Deno.test("a run's file holds every scalar of its record at its step", () =>
  inFolder(async (folder) => {
    const record = await runIn(folder);
    checkFile(`${folder}/${FILE}`, record);
    const tags = [...expected(record).keys()];
    for (
      const tag of [
        "router/temperature/layer_1",
        "router_loss/balance",
        "load_cv/layer_0",
        "changed_experts/layer_1",
      ]
    ) {
      assert(tags.includes(tag), tag);
    }
  }));

Deno.test("a run that was stopped, or killed at a save, goes on in the same file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/${FILE}`;
    const stop = new AbortController();
    await assertRejects(() =>
      runIn(folder, {
        signal: stop.signal,
        onStep: ({ step }) => step === 13 && stop.abort(new Error("stop")),
      })
    );
    const before = Deno.readFileSync(path);
    assertEquals(readEvents(before).length, 1 + 14 + recordPoints(before));
    // Killed within the write that follows the checkpoint: a record and a half are lost.
    const cut = recordEnds(before).at(-2)! - 5;
    Deno.truncateSync(path, cut);
    const record = await runIn(folder, { resume: true });
    checkFile(path, record);
    assertEquals(
      Deno.readFileSync(path).subarray(0, recordEnds(before).at(-3)),
      before.subarray(0, recordEnds(before).at(-3)),
    );
    // A finished run gets the file that it lacks, and keeps the one that it has.
    const whole = Deno.readFileSync(path);
    await runIn(folder, { resume: true });
    assertEquals(Deno.readFileSync(path), whole);
    Deno.removeSync(path);
    await runIn(folder, { resume: true });
    checkFile(path, record);
  }));

function recordPoints(bytes: Uint8Array): number {
  return readEvents(bytes).filter(({ scalars }) => "loss/validation" in scalars).length;
}

const words = [
  "--task",
  "language",
  "--size",
  "tiny",
  "--seeds",
  "2",
  "--routers",
  "switch",
  "--no-controls",
  "--steps",
  "4",
];

Deno.test("--tensorboard leaves a file for each run, trained side by side or not, and nothing else changes", () =>
  inFolder(async (folder) => {
    const text = ["--text", `${folder}/text.txt`];
    const out = await succeed(...words, ...text, "--out", `${folder}/with`, "--tensorboard", "--jobs", "2");
    assert(out.includes(`tensorboard --logdir ${folder}/with/tensorboard\n`), out);
    await succeed(...words, ...text, "--out", `${folder}/without`);
    for (const seed of [0, 1]) {
      const record = Deno.readTextFileSync(`${folder}/with/runs/switch-seed${seed}.jsonl`);
      checkFile(`${folder}/with/tensorboard/switch-seed${seed}/${FILE}`, parseRecord(record, "with"));
      assertEquals(Deno.readTextFileSync(`${folder}/without/runs/switch-seed${seed}.jsonl`), record);
    }
    // Asked for later, it is made from what there is.
    await succeed(...words, ...text, "--out", `${folder}/without`, "--tensorboard", "--resume");
    const record = Deno.readTextFileSync(`${folder}/without/runs/switch-seed1.jsonl`);
    checkFile(`${folder}/without/tensorboard/switch-seed1/${FILE}`, parseRecord(record, "without"));
  }));

/** Prints what TensorBoard finds in a folder: [step, value] by tag, as JSON. */
const program = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0}).Reload()
print(json.dumps({tag: [[e.step, e.value] for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}))
`;

async function python(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("python3", { args: ["-c", ...args] }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

const hasReference = await python("import tensorboard").then(() => true, () => false);

Deno.test({
  name: "TensorBoard reads what a run wrote (needs python3 with the package tensorboard)",
  ignore: !hasReference,
  fn: () =>
    inFolder(async (folder) => {
      const record = await runIn(folder);
      const found = JSON.parse(await python(program, folder)) as Record<string, number[][]>;
      assertEquals(sorted(new Map(Object.entries(found))), sorted(expected(record)));
    }),
});
