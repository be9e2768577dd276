// A run is a function of its command and seed: the same bytes whatever the threads, whether it was never stopped, asked
// to stop or killed, and at no moment does a reader find half a file.
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { type AnyRouterPlugin, registerRouter, routers } from "../routers/registry.ts";
import { textData } from "../tasks/text.ts";
import { random } from "../tensor/random.ts";
import { tensor } from "../tensor/tensor.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../training/checkpoint.ts";
import type { RunConfig, Settings } from "../training/config.ts";
import { parseRecord, recordRows, recordText } from "../training/record_text.ts";
import { openRunStore } from "../training/run_store.ts";
import { train, type TrainOptions } from "../training/train.ts";
import { experimentsInShell, filesIn, inFolder, startExperiments, succeed } from "./experiments_command.ts";
import { madeUpDataset } from "./made_up_text.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

/** Long enough for two checkpoints a run. */
const steps = 120;

function words(folder: string, out: string, threads: number, seeds = 1): string[] {
  const size = [
    "--routers",
    "switch,gshard,hash",
    "--size",
    "tiny",
    "--steps",
    String(steps),
    "--seeds",
    String(seeds),
    "--jobs",
    "1",
    "--no-controls",
  ];
  return [...size, "--threads", String(threads), "--text", `${folder}/text.txt`, "--out", `${folder}/${out}`];
}

/** Everything that must not depend on when and how fast a command ran. */
function records(folder: string): Map<string, string> {
  return new Map(
    [...filesIn(folder)].filter(([path]) => /\.(jsonl|csv|parquet)$|^experiment\.json$/.test(path)),
  );
}

/** Reads every file that bears its final name and fails on half of one. */
function checkWhole(folder: string): void {
  for (const [path, text] of readWhatIsThere(folder)) {
    // Files that grow end where the last checkpoint says.
    if (path.endsWith(".partial") || path.includes(".unfinished.") || path === ".claim") continue;
    if (path.endsWith(".safetensors")) {
      decodeCheckpoint(Uint8Array.from(text, (letter) => letter.charCodeAt(0)), path);
    } else if (path.endsWith(".jsonl")) {
      assert(text.endsWith("\n"), `${path} ends within a line`);
      for (const run of text.split(/(?=^\{"kind":"run")/m)) parseRecord(run, path);
    } else if (path.endsWith(".json")) JSON.parse(text);
    else if (path.endsWith(".html")) assert(text.trimEnd().endsWith("</html>"), `${path} is cut short`);
    else if (path.endsWith(".parquet")) assert(text.endsWith("PAR1"), `${path} is cut short`);
    else assert(path.endsWith(".csv") && text.endsWith("\n"), `${path} is cut short`);
  }
}

/** Files of a folder that another program is writing to: what goes away while it is read is left out. */
function readWhatIsThere(folder: string): Map<string, string> {
  for (;;) {
    try {
      return filesIn(folder);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/**
 * Starts a command and looks at its folder all the time; kills it when `enough` says so.
 * @returns Whether it was killed, and how often it was looked at.
 */
async function watch(
  command: readonly string[],
  folder: string,
  enough: (files: ReadonlyMap<string, string>) => boolean,
): Promise<{ killed: boolean; looks: number }> {
  const child = startExperiments(command);
  let ended = false;
  const output = child.output().finally(() => ended = true);
  let looks = 0;
  let killed = false;
  while (!ended && !killed) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    const files = await Deno.stat(folder).then(() => readWhatIsThere(folder), () => new Map());
    if (files.size > 0) {
      checkWhole(folder);
      looks++;
    }
    if (!ended && enough(files)) {
      child.kill("SIGKILL");
      killed = true;
    }
  }
  const { code, stderr } = await output;
  if (!killed) assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
  return { killed, looks };
}

Deno.test("a command writes the same bytes twice, on one thread and on two", () =>
  inFolder(async (folder) => {
    await succeed(...words(folder, "one", 1));
    await succeed(...words(folder, "two", 2));
    await succeed(...words(folder, "again", 2));
    const one = records(`${folder}/one`);
    assertEquals(one.size, 7);
    assertEquals(records(`${folder}/two`), one);
    assertEquals(records(`${folder}/again`), one);
  }));

Deno.test("a command killed in every run goes on to the same bytes, and never shows half a file", () =>
  inFolder(async (folder) => {
    await succeed(...words(folder, "whole", 1));
    const out = `${folder}/killed`;
    const command = words(folder, "killed", 2);
    const checkpoints = new Set<string>();
    let looks = 0;
    let killed = true;
    for (let start = 0; killed; start++) {
      assert(start < 20, "resuming makes no headway");
      // Killed at each run's first checkpoint of this start: sometimes with the next file half-written beside it.
      const found = await watch([...command, ...(start > 0 ? ["--resume"] : [])], out, (files) => {
        const fresh = [...files.keys()].find((path) =>
          path.endsWith(".safetensors") && !checkpoints.has(path)
        );
        if (fresh) checkpoints.add(fresh);
        return fresh !== undefined;
      });
      looks += found.looks;
      killed = found.killed;
    }
    assertEquals(checkpoints.size, 3, "every run was to be killed once");
    assert(looks > 20, `looked only ${looks} times`);
    assertEquals(records(out), records(`${folder}/whole`));
    assertEquals([...filesIn(out).keys()].sort(), [...filesIn(`${folder}/whole`).keys()].sort());
  }));

Deno.test("a command killed while it writes leaves a part that resuming clears away", () =>
  inFolder(async (folder) => {
    const out = `${folder}/out`;
    const command = words(folder, "out", 1);
    const { killed } = await watch(
      command,
      out,
      (files) => [...files.keys()].some((path) => path.endsWith(".safetensors")),
    );
    assert(killed);
    // What a kill between the first byte and the rename leaves, in both folders that are written to.
    await Deno.writeTextFile(`${out}/.report.html.4711.partial`, "<html>");
    await Deno.writeTextFile(`${out}/runs/.switch-seed0.jsonl.4711.partial`, '{"kind":"ru');
    await succeed(...command, "--resume");
    assertEquals([...filesIn(out).keys()].filter((path) => /partial|safetensors/.test(path)), []);
  }));

Deno.test("a finished command resumed writes the same again, and may be given more seeds", () =>
  inFolder(async (folder) => {
    const command = words(folder, "out", 1);
    await succeed(...command);
    const before = records(`${folder}/out`);
    // A run stopped between its last row and taking its checkpoint away.
    await Deno.writeTextFile(`${folder}/out/runs/hash-seed0.safetensors`, "left behind");
    await succeed(...command, "--resume");
    assertEquals(records(`${folder}/out`), before);
    assert(!filesIn(`${folder}/out`).has("runs/hash-seed0.safetensors"));

    await succeed(...words(folder, "out", 1, 2), "--resume");
    const after = records(`${folder}/out`);
    assertEquals(after.get("runs/hash-seed0.jsonl"), before.get("runs/hash-seed0.jsonl"));
    assert(after.has("runs/hash-seed1.jsonl"));
    assert(after.get("records.jsonl")!.startsWith(before.get("records.jsonl")!));
  }));

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  Deno.test(`a command stopped by ${signal} saves, says how to go on, and that works in a shell`, () =>
    inFolder(async (folder) => {
      const command = words(folder, "it's out", 1).map((word, at, all) =>
        all[at - 1] === "--out" ? [] : word === "--out" ? [`--out=${all[at + 1]}`] : [word]
      ).flat();
      const child = startExperiments(command);
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let shown = "";
      while (!/^run 1/m.test(shown)) shown += (await reader.read()).value ?? "";
      child.kill(signal);
      for (let part = await reader.read(); !part.done; part = await reader.read()) shown += part.value;
      const { code } = await child.status;
      await child.stderr.cancel();
      assertEquals(code, status);
      assertMatch(shown, /\nStopped\. To go on: deno task experiments .+ --resume\n$/);
      // What it was at is saved, however few steps it had behind it.
      const saved = [...filesIn(`${folder}/it's out`).keys()].filter((path) => path.endsWith(".safetensors"));
      assertEquals(saved.length, 1, shown);
      const [, rest] = shown.match(/deno task experiments (.+)\n$/)!;
      const { code: then, error, out } = await experimentsInShell(["sh", "-c"], `exec "$@" ${rest}`, []);
      assertEquals([then, error], [0, ""]);
      assertStringIncludes(out, `Report: ${folder}/it's out/report.html`);
    }));
}

Deno.test("a command stopped while it loads says that nothing began, and what to type to begin", () =>
  inFolder(async (folder) => {
    const child = startExperiments(words(folder, "out", 1));
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let shown = "";
    while (!shown.includes("Loading ")) shown += (await reader.read()).value ?? "";
    child.kill("SIGTERM");
    for (let part = await reader.read(); !part.done; part = await reader.read()) shown += part.value;
    const { code } = await child.status;
    await child.stderr.cancel();
    assertEquals(code, 143);
    assertMatch(
      shown,
      /\nStopped before any run began\. To begin: deno task experiments .+ --out '[^']+\/out'\n$/,
    );
  }));

const data = await madeUpData();

function smallConfig(router: AnyRouterPlugin | string, settings: Settings = {}): RunConfig {
  return tinyConfig(router, {}, least, { "train.learningRate": 0.02, "train.steps": 9, seed: 3 }, settings);
}
registerRouter(turnTaking());

/** Steps after which a run is stopped: before, at and after a checkpoint, and with none behind it. */
const stops = [2, 3, 5, 8];

for (const router of routers()) {
  Deno.test(`${router.name}: a run stopped anywhere ends as if it had not been`, async () => {
    const folder = await Deno.makeTempDir();
    const backend = await cpu({ threads: 1 });
    const options = { backend, data };
    using whole = await train(smallConfig(router), options);
    for (const stop of stops) {
      const store = openRunStore(folder, `${router.name}-${stop}`);
      const stopping: TrainOptions = {
        ...options,
        store,
        checkpointEvery: 3,
        onStep: ({ step }) => {
          if (step + 1 === stop) throw new Error("stopped here");
        },
      };
      await assertRejects(() => train(smallConfig(router), stopping), Error, "stopped here");
      const started: number[] = [];
      using resumed = await train(smallConfig(router), {
        ...options,
        store,
        resume: true,
        checkpointEvery: 3,
        onStart: (step) => started.push(step),
      });
      assertEquals(resumed.trainer!.steps, 9);
      // A run stopped in the step before a checkpoint has not written it.
      assertEquals(started, [3 * Math.floor((stop - 1) / 3)]);
      assertEquals(recordText(recordRows(resumed.record)), recordText(recordRows(whole.record)));
      assertEquals(resumed.timing.steps.map(({ step }) => step), whole.timing.steps.map(({ step }) => step));
    }
    backend.close();
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("a run is not resumed under another config, and says what differs", async () => {
  const folder = await Deno.makeTempDir();
  const backend = await cpu({ threads: 1 });
  const options = { backend, data, version: "0", names: { run: "switch-seed3" } };
  const other = await textData(madeUpDataset({ seed: 8 }));
  const [router] = routers().filter(({ name }) => name === "switch");
  for (const finished of [true, false]) {
    const store = openRunStore(folder, String(finished));
    const first = train(smallConfig(router), {
      ...options,
      store,
      checkpointEvery: 2,
      onStep: ({ step }) => {
        if (!finished && step === 4) throw new Error("stopped here");
      },
    });
    if (finished) (await first)[Symbol.dispose]();
    else await assertRejects(() => first, Error, "stopped here");
    const plain = await cpu({ threads: 1, relaxed: !backend.arithmetic.fusedMultiplyAdd });
    const { fusedMultiplyAdd } = backend.arithmetic;
    const others: readonly (readonly [Settings, Partial<TrainOptions>, string])[] = [
      [{ seed: 4 }, {}, "its seed was 3 and is now 4"],
      [{ "train.steps": 10 }, {}, "its steps was 9 and is now 10"],
      [{ "train.learningRate": 1 }, {}, "its model.train.learningRate was 0.02 and is now 1"],
      [{ "router.jitter": 0 }, {}, "routerOptions.jitter was 0.01 and is"],
      [{}, { version: "1" }, 'its version was "0" and is now "1"'],
      [{}, { data: other }, `its task.digest was "${data.digest}" and is now "${other.digest}"`],
      [{}, { backend: plain }, `fusedMultiplyAdd was ${fusedMultiplyAdd} and is now ${!fusedMultiplyAdd}`],
    ];
    for (const [settings, given, message] of others) {
      const again = () => train(smallConfig(router, settings), { ...options, ...given, store, resume: true });
      await assertRejects(again, RangeError, message);
    }
    plain.close();
  }
  backend.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a checkpoint that is damaged, or saved again without its texts, is refused in one sentence", async () => {
  const folder = await Deno.makeTempDir();
  const backend = await cpu({ threads: 1 });
  const store = openRunStore(folder, "switch-seed3");
  const options: TrainOptions = { backend, data, store, checkpointEvery: 2 };
  const stop = ({ step }: { readonly step: number }) => {
    if (step === 4) throw new Error("stopped here");
  };
  await assertRejects(
    () => train(smallConfig("switch"), { ...options, onStep: stop }),
    Error,
    "stopped here",
  );
  const whole = await Deno.readFile(store.checkpointPath);
  const { tensors, metadata } = decodeCheckpoint(whole, "mine");
  const { "adamw.first.embedding": _, ...fewer } = tensors;
  const damaged: readonly (readonly [Uint8Array, string])[] = [
    [
      encodeCheckpoint(tensors, {}),
      `Cannot resume switch-seed3: ${store.checkpointPath} has lost its metadata: it has no checksum`,
    ],
    [encodeCheckpoint(tensors, { ...metadata, switchyard: "{}" }), "is damaged: its checksum does not fit"],
    [encodeCheckpoint(fewer, metadata), "is damaged: its checksum does not fit"],
    [encodeCheckpoint(tensors, { ...metadata, run: "hash-seed3" }), 'is the checkpoint of "hash-seed3"'],
    [whole.subarray(0, whole.length - 3), `Cannot read checkpoint ${store.checkpointPath}: `],
    [whole.subarray(0, 5), "it has 5 bytes, too few for a header"],
  ];
  for (const [bytes, message] of damaged) {
    await Deno.writeFile(store.checkpointPath, bytes);
    await assertRejects(
      () => train(smallConfig("switch"), { ...options, resume: true }),
      RangeError,
      message,
    );
  }
  // A flipped bit anywhere is refused; in the header's padding or in spaces it may change nothing.
  const flips = random(9).uniform(600);
  for (let at = 0; at < flips.length; at += 2) {
    const flipped = whole.slice();
    flipped[Math.floor(flips[at] * whole.length)] ^= 1 << Math.floor(8 * flips[at + 1]);
    await Deno.writeFile(store.checkpointPath, flipped);
    const found = await store.saved().catch((error) => {
      assert(error instanceof RangeError && error.message.startsWith("Cannot re"), String(error));
      return null;
    });
    if (found) assertEquals(found.tensors, tensors);
  }
  await Deno.writeFile(store.checkpointPath, whole);
  using resumed = await train(smallConfig("switch"), { ...options, resume: true });
  assertEquals(resumed.record.steps.length, 9);
  backend.close();
  await Deno.remove(folder, { recursive: true });
});

/** A router that lives from its state alone: each step, tokens move on to the expert that was least wanted so far. */
function turnTaking(): AnyRouterPlugin {
  const hash = routers().find(({ name }) => name === "hash")!;
  return {
    ...hash,
    name: "turn-taking",
    options: hash.options,
    create({ E }) {
      let wanted_E = new Float32Array(E);
      return {
        params: {},
        route(x_TD) {
          const [T] = x_TD.shape;
          const expert = wanted_E.indexOf(Math.min(...wanted_E));
          const whole = (value: (token: number) => number) =>
            tensor(x_TD.backend, Int32Array.from({ length: T }, (_, token) => value(token)), [T]);
          const expert_N = whole((token) => token % 3 === 0 ? (expert + 1) % E : expert);
          const weight_N = tensor(x_TD.backend, new Float32Array(T).fill(1), [T]);
          return {
            token_N: whole((token) => token),
            expert_N,
            wanted_N: expert_N,
            weight_N,
            choices: 1,
            losses: {},
          };
        },
        observe({ wanted }) {
          wanted_E = wanted_E.map((sum, expert) => sum + wanted[expert]);
        },
        state: () => ({ wanted: wanted_E }),
        restore: ({ wanted }) => void (wanted_E = Float32Array.from(wanted)),
      };
    },
  };
}
