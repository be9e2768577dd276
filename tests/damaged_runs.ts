// A run's files cut anywhere, or with a bit flipped anywhere: they are refused in one sentence, or read as they were. Of
// a stopped run that is its checkpoint, its rows and its timings, of a finished one its record and its timings.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { random } from "../tensor/random.ts";
import type { RecordRow, TimingRecord } from "../training/record.ts";
import { openRunStore } from "../training/run_store.ts";
import { recordOf, routers } from "./made_up_runs.ts";
import { inOwnFolder } from "./own_folder.ts";

const made = recordOf(routers.switch, 0, { steps: 2, experts: 2 });
const { run } = made.header;
const tensors = {
  weight: { values: Float32Array.of(1, 2, -3, 0.5), shape: [2, 2] },
  counts: { values: Int32Array.of(7, 0, -1), shape: [3] },
};

const rows: RecordRow[] = [made.header, ...made.steps];
const timing: TimingRecord = {
  run,
  threads: 1,
  machine: "a laptop",
  steps: made.steps.map(({ step }) => ({ step, seconds: 0.01, stages: { rest: 0.01 } })),
};

/** What becomes of one file. */
interface Outcome {
  refused: number;
  read: number;
}

/** How much is tried of each file. */
export interface Damage {
  /** Copies with one bit changed. */
  readonly flips: number;
  /** Bytes from one length that a file is cut to to the next. */
  readonly cutEvery: number;
}

/** Beginnings of a file, and copies with one bit changed. */
function* damagedFrom(whole: Uint8Array, { flips, cutEvery }: Damage): Generator<Uint8Array<ArrayBuffer>> {
  for (let length = 0; length < whole.length; length += cutEvery) yield whole.slice(0, length);
  const draws = random(whole.length).uniform(2 * flips);
  for (let at = 0; at < flips; at++) {
    const flipped = whole.slice();
    flipped[Math.floor(draws[2 * at] * whole.length)] ^= 1 << Math.floor(8 * draws[2 * at + 1]);
    yield flipped;
  }
}

/** Reads a run with each damaged form of a file in its place. */
async function tryAll(
  path: string,
  damage: Damage,
  read: (damaged: Uint8Array) => Promise<void>,
): Promise<Outcome> {
  const whole = await Deno.readFile(path);
  const outcome = { refused: 0, read: 0 };
  for (const damaged of damagedFrom(whole, damage)) {
    await Deno.writeFile(path, damaged);
    try {
      await read(damaged);
      outcome.read++;
    } catch (error) {
      assert(error instanceof Error && error.name !== "AssertionError", String(error));
      assertMatch(error.message, /^Cannot (read|resume) [^\n]+$/);
      outcome.refused++;
    }
  }
  await Deno.writeFile(path, whole);
  return outcome;
}

/** Tests of cuts of a run's files, and of flipped bits of each. */
export function testDamagedRuns(damage: Damage): void {
  const { flips, cutEvery } = damage;
  const how = `cut at one byte in ${cutEvery}, or with one of ${flips} bits flipped,`;
  Deno.test(`a stopped run's files ${how} are refused or read as they were`, () =>
    inOwnFolder(async (folder) => {
      await openRunStore(folder, run).save(rows, timing, tensors, { own: "text" });
      const store = () => openRunStore(folder, run);
      const wanted = (await store().saved())!;
      const unfinished = `${folder}/${run}.unfinished`;
      const paths = [store().checkpointPath, `${unfinished}.jsonl`, `${unfinished}.timing.jsonl`];
      for (const path of paths) {
        const { refused, read } = await tryAll(path, damage, async () => {
          const found = await store().saved();
          assertEquals(found, wanted, `${path} passed for what it is not`);
        });
        assert(refused > 20 * read, `of ${path} ${read} damaged forms were read, ${refused} refused`);
      }
      assertEquals(await store().saved(), wanted);
    }));

  Deno.test(`a finished run's files ${how} are refused or read as they were`, () =>
    inOwnFolder(async (folder) => {
      const store = () => openRunStore(folder, run);
      await store().finish([...rows, { ...made.end!, specialisation: [] }], timing);
      const wanted = (await store().finished())!;
      for (const ending of ["jsonl", "timing.json"]) {
        const { refused } = await tryAll(`${folder}/${run}.${ending}`, damage, async (damaged) => {
          const found = await store().finished();
          // A record is what was written; of its timings, a figure may have changed.
          if (found) assertEquals(found.record, wanted.record);
          else assert(!damaged.includes(10), "an unfinished record passed for none");
        });
        assert(refused > flips / 2, `of ${ending} ${refused} were refused`);
      }
    }));
}
