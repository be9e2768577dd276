// What the benches compute from what they time, and refuse before they do. That they run: tests/long/bench_test.ts.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { gpuPeak, readGpuRoofs } from "../bench/roofs/gpu_roof.ts";
import { openCpu } from "../bench/devices.ts";
import { createKernelSubject } from "../bench/products.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { exponentOf } from "../bench/scaling/fit.ts";
import {
  addEntry,
  changesSince,
  checkSpread,
  type Entry,
  parseHistory,
  readHistory,
} from "../bench/history_entries.ts";
import { countsOf, expertsOf, offsetsOf } from "../bench/loads.ts";
import { writePage } from "../bench/page.ts";
import { memoryByHand } from "../bench/scaling/memory_by_hand.ts";
import { leastSeconds } from "../bench/roofs/roof.ts";
import { spread } from "../bench/rounds.ts";
import { createRows } from "../bench/rows.ts";
import { verified } from "../bench/verify.ts";
import { specOf } from "../training/spec_of.ts";
import { tinyConfig, wordsAlone } from "./run_configs.ts";
import { cpu } from "../cpu/backend.ts";
import { affine, matmul } from "../kernels/mod.ts";
import { assertClose, run } from "./bench_command.ts";
import type { Task } from "./task_command.ts";

/** Each list of words is refused with one sentence on one line, before anything is timed. */
async function refuses(
  task: Task,
  mistakes: readonly (readonly [words: readonly string[], sentence: string])[],
) {
  for (const [words, sentence] of mistakes) {
    const { code, out, error } = await run(task, ...words);
    assert(code !== 0 && out === "", `${words}: exit code ${code}, ${out}`);
    assert(error.startsWith(sentence) && error.trimEnd().split("\n").length === 1, error);
  }
}

Deno.test("a page is written beside an older one of the same day, not over it", async () => {
  const folder = `bench-test-${crypto.randomUUID()}`;
  try {
    const paths = [
      await writePage(folder, "2026-11-22", "<p>1"),
      await writePage(folder, "2026-11-22", "<p>2"),
    ];
    assertEquals(paths, [`results/${folder}/2026-11-22.html`, `results/${folder}/2026-11-22-2.html`]);
    assertEquals(await Promise.all(paths.map((path) => Deno.readTextFile(path))), ["<p>1", "<p>2"]);
  } finally {
    await Deno.remove(`results/${folder}`, { recursive: true }).catch(() => {});
  }
});

gpuTest("bench: a GPU's limits are read by a program that computes what it says", async () => {
  const backend = await openGpu()();
  await createKernelSubject(backend, gpuPeak, [], null).check();
  for (const [name, figures] of Object.entries(await readGpuRoofs(backend))) {
    const [value] = Object.values(figures);
    assert(value > 0 && Number.isFinite(value), `${name}: ${value}`);
  }
});

Deno.test("bench: mistakes are refused in one sentence", () =>
  refuses("bench", [
    [["--rounds", "0"], "Cannot use --rounds 0: choose a whole number of at least 1"],
    [["--threads", "1,65"], "Cannot use --threads 65: choose a whole number from 1 to 64"],
    [["--size", "huge"], 'Cannot find size "huge"'],
    [["--routers", "topk"], 'Cannot find router "topk"'],
    [["--device", "tpu"], "Cannot use --device tpu: there are cpu, webgpu"],
    [["--device", "webgpu", "--blas", "auto"], "Cannot use --blas auto with --device webgpu"],
    [["--device", "webgpu", "--threads", "7"], "Cannot use --threads 7 with --device webgpu"],
    [["--threads", "1", "--blas", "./nowhere.so"], "Cannot use BLAS library ./nowhere.so"],
    [["--blas"], "Cannot use --blas: it needs a value"],
    [["--blas", "OFF"], "Cannot use BLAS library OFF: "],
    [["--routers", "--json"], "Cannot use --routers: it needs a value"],
    [["--layer", "1,2,3"], "Cannot use --layer 1,2,3: write T,D,F,E,K"],
    [["--layer", "8,8,8,2,4"], "Cannot use --layer 8,8,8,2,4: a token goes to 4 experts, and there are 2"],
    [["--layer", "8,8,8,2,2"], "Cannot send 9 of 8 tokens to one expert"],
    [["--round", "2"], 'Cannot use "--round": did you mean --rounds? deno task bench has --rounds, --steps'],
  ]));

Deno.test("every bench lists its options where it is asked for help", async () => {
  for (const task of ["bench", "bench:scaling", "bench:history", "bench:routing", "bench:peers"] as const) {
    const { code, out, error } = await run(task, "--help");
    assertEquals([code, error], [0, ""], task);
    assertMatch(out, /^ {2}--rounds/m);
  }
});

Deno.test("figures are medians with their range", () => {
  assertEquals(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
  assertEquals(spread([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
  assertThrows(() => spread([]), RangeError, "no rounds");
  const rows = createRows();
  const [a, b] = ["a", "b"].map((name) => ({ group: "step" as const, name, on: "1 thread" }));
  for (const value of [5, 7]) rows.add(b, { x: value });
  rows.add(a, { y: 1 });
  assertEquals(rows.all(), [
    { ...b, figures: { x: { median: 6, least: 5, most: 7 } } },
    { ...a, figures: { y: { median: 1, least: 1, most: 1 } } },
  ]);
});

Deno.test("a call takes at least its arithmetic at the peak or its bytes at the bandwidth that fits", () => {
  const bandwidths = [{ bytes: 100, bytesPerSecond: 50 }, { bytes: 1000, bytesPerSecond: 10 }];
  const roof = { flopPerSecond: 200, bandwidths };
  assertEquals(leastSeconds(roof, { flop: 400, bytes: 50 }), 2);
  assertEquals(leastSeconds(roof, { flop: 0, bytes: 100 }), 2);
  assertEquals(leastSeconds(roof, { flop: 0, bytes: 101 }), 10.1);
  assertEquals(leastSeconds(roof, { flop: 0, bytes: 5000 }), 500);
});

Deno.test("loads add up, fall as they say, and send a token to different experts", () => {
  assertEquals([...countsOf({ T: 6, E: 4, K: 2, skew: 0 })], [3, 3, 3, 3]);
  // Shares 1, 1/2, 1/3, 1/4 of 25/12, times 50.
  assertEquals([...countsOf({ T: 50, E: 4, K: 1, skew: 1 })], [24, 12, 8, 6]);
  assertEquals([...countsOf({ T: 6, E: 4, K: 2, skew: 0, emptyExpert: true })], [4, 4, 4, 0]);
  assertEquals([...offsetsOf({ T: 6, E: 4, K: 2, skew: 0 })], [0, 3, 6, 9, 12]);
  for (const skew of [0, 0.5, 0.9]) {
    const load = { T: 301, E: 8, K: 2, skew };
    const experts = expertsOf(load);
    assertEquals(experts, expertsOf(load), "the same every time");
    const counts = new Int32Array(load.E);
    for (let token = 0; token < load.T; token++) {
      const chosen = experts.subarray(token * load.K, (token + 1) * load.K);
      assertEquals(new Set(chosen).size, load.K, `token ${token} goes to ${chosen}`);
      for (const expert of chosen) counts[expert]++;
    }
    assertEquals(counts, countsOf(load));
  }
  assertThrows(
    () => countsOf({ T: 8, E: 2, K: 2, skew: 1 }),
    RangeError,
    "Cannot send 11 of 8 tokens to one expert",
  );
  assertThrows(
    () => countsOf({ T: 8, E: 2, K: 2, skew: 0, emptyExpert: true }),
    RangeError,
    "1 of 2 take any",
  );
});

Deno.test("a kernel that is wrong is not timed", async () => {
  using backend = await cpu({ threads: 1 });
  const run = (shift: number) =>
    verified(backend, (watching) => {
      // The program adds what the params say; this reference adds 1.
      const kernel = { ...affine, reference: affineByOne };
      const x = watching.upload(Float32Array.of(1, 2), [2]);
      watching.run(kernel, [x], { scale: 1, shift });
      return Promise.resolve();
    });
  assertEquals(await run(1), ["affine"]);
  await assertRejects(
    () => run(2),
    Error,
    "Cannot time affine: output 0 of shape [2]: 2 of 2 values are off; the worst is [0]: got 3, want 2",
  );
});

function affineByOne([x]: readonly ArrayLike<number>[], [y]: readonly { [at: number]: number }[]) {
  for (let at = 0; at < x.length; at++) y[at] = x[at] + 1;
}

Deno.test("bench:scaling: mistakes are refused in one sentence", () =>
  refuses("bench:scaling", [
    [["--rounds", "none"], "Cannot use --rounds none: choose a whole number of at least 1"],
    [["--threads", "0"], "Cannot use --threads 0: choose a whole number from 1 to 64"],
    [["--blas="], "Cannot use --blas: it needs a value"],
    [
      ["--slow"],
      'Cannot use "--slow": deno task bench:scaling has --rounds, --threads, --blas, --quick, --json',
    ],
  ]));

Deno.test("exponents are found, with an interval, and refused where there are none", () => {
  const cube = [1, 2, 4, 8].map((x) => ({ x, y: 5 * x ** 3 }));
  const { value, interval } = exponentOf(cube);
  assertClose(value, 3);
  assertClose(interval![0], 3);
  assertClose(interval![1], 3);
  const noisy = exponentOf(cube.map(({ x, y }, at) => ({ x, y: y * (at % 2 === 0 ? 1.1 : 1) })));
  assert(noisy.interval![0] < 3 && noisy.interval![1] > 3 && noisy.interval![0] < noisy.value);
  assertEquals(exponentOf(cube.slice(0, 3)).interval, null);
  assertThrows(() => exponentOf([{ x: 1, y: 1 }]), RangeError, "Cannot fit an exponent to 1 points");
  assertThrows(
    () => exponentOf([{ x: 1, y: 0 }, { x: 2, y: 1 }]),
    RangeError,
    "Cannot fit an exponent to 0 at 1",
  );
});

Deno.test("peaks count arrays, whatever the threads' scratch", async () => {
  const taken = async (threads: number) => {
    using device = await openCpu(threads);
    const { backend } = device;
    const inputs = [0, 1].map(() => backend.upload(new Float32Array(300 * 300), [300, 300]));
    const [sum] = backend.run(matmul, inputs, { transposeA: false, transposeB: false });
    for (const buffer of [...inputs, sum]) backend.free(buffer);
    backend.upload(Float32Array.of(1), [1]);
    return { peak: device.peakBytes(), held: device.heldBytes() };
  };
  const [one, three] = [await taken(1), await taken(3)];
  // 300 x 300 elements of 4 bytes fill whole cache lines.
  assertEquals([one.peak, three.peak], [3 * 300 * 300 * 4, 3 * 300 * 300 * 4]);
  assert(one.peak < one.held && one.held < three.held, "scratch of each thread is in what is held");
});

Deno.test("memory counted by hand adds up", () => {
  const config = tinyConfig("switch", {}, {
    "model.width": 2,
    "model.heads": 1,
    "model.feedForwardWidth": 3,
    "model.expertWidth": 3,
    "train.length": 5,
    "train.batch": 1,
  });
  const attention = 5 * (2 * 2 + 3 * 2 + 2 + 1 + 2 * 2);
  const [dense, moe, head] = [5 * 3, 5 * 4 + 5 * 2 * 2 + 5 * 3, 5 * (2 * 2 + 7)];
  assertEquals(memoryByHand(specOf(config, wordsAlone(7)), 5, 11), {
    parameters: 44,
    optimizer: 88,
    activations: 4 * (2 * attention + dense + moe + head),
    gradients: 44,
  });
});

const ratio = (median: number) => ({ median, least: median - 0.1, most: median + 0.1 });

Deno.test("history: a change is told beside the last entry of a like machine, with what ranges say", () => {
  const entry = (commit: string, machine: string, median: number): Entry => ({
    commit,
    machine,
    date: "2026-11-25",
    rounds: 5,
    deno: "2.9.6",
    ratios: { "step / peak": ratio(median) },
  });
  const entries = [entry("aaaaaaa", "mine", 0.5), entry("bbbbbbb+", "mine", 1), entry("ccccccc", "other", 9)];
  assertEquals(parseHistory(entries.map((each) => JSON.stringify(each) + "\n").join(""), "history"), entries);
  assertThrows(() => parseHistory("{}\n", "history"), RangeError, "Cannot read history: line 1 is no entry");
  assertThrows(() => parseHistory("\n \n\n{}", "history"), RangeError, "line 4 is no entry");
  const now = {
    machine: "mine",
    deno: "2.9.6",
    rounds: 5,
    ratios: { "step / peak": ratio(1.5), "new one": ratio(2) },
  };
  assertEquals(changesSince(entries, now), [
    "Ratios since bbbbbbb+ of 2026-11-25:",
    "  step / peak: 1.50 [1.40, 1.60], was 1.00 [0.900, 1.10]: +50.0%, ranges apart",
    "  new one: 2.00 [1.90, 2.10], new",
  ]);
  assertEquals(
    changesSince(entries, { ...now, ratios: { "step / peak": ratio(0.95) } })[1].split(": ").at(-1),
    "−5.0%, ranges overlap",
  );
  assertEquals(
    changesSince(entries, { ...now, ratios: { "step / peak": ratio(1 - 1e-9) } })[1].split(": ").at(-1),
    "0.0%, ranges overlap",
  );
  assertEquals(
    changesSince(entries, { ...now, rounds: 2, deno: "2.9.7" }).slice(0, 2).map((line) =>
      line.split(/, (?=Deno)|%, /)[1]
    ),
    ["Deno 2.9.6 then and 2.9.7 now:", "too few rounds to tell"],
  );
  // Entries from before say no rounds: they are read, and nothing is held against them.
  const { rounds: _, deno: __, ...older } = entries[1];
  assertEquals(parseHistory(JSON.stringify(older), "history"), [older]);
  assertStringIncludes(changesSince([older], now)[0], "there is nothing to compare with");
  assertStringIncludes(
    changesSince(entries, { ...now, machine: "third" })[0],
    "no entry measured like these is from a machine like this (third)",
  );
});

Deno.test("history: every entry is on a line of its own, the first one in a new file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/history.jsonl`;
    const [first, second, third] = ["aaaaaaa", "bbbbbbb", "ccccccc"].map((commit): Entry => ({
      commit,
      machine: "mine",
      date: "2026-11-25",
      rounds: 5,
      deno: "2.9.6",
      ratios: { "step / peak": ratio(1) },
    }));
    assertEquals(await readHistory(path), "");
    await addEntry(path, await readHistory(path), first);
    await addEntry(path, await readHistory(path), second);
    // An editor that leaves out the last newline.
    await Deno.writeTextFile(path, (await readHistory(path)).trimEnd());
    await addEntry(path, await readHistory(path), third);
    const text = await readHistory(path);
    assertEquals(parseHistory(text, path), [first, second, third]);
    assert(text.endsWith("}\n"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("history: an entry that would say nothing is refused, with how wide its range is", () => {
  checkSpread({ step: { median: 1, least: 0.95, most: 1.1 } });
  assertThrows(
    () => checkSpread({ step: { median: 2, least: 1.7, most: 2.3 }, product: ratio(9) }),
    RangeError,
    "Cannot add an entry: ranges may be 20% of their medians and are wider (step 30%);",
  );
});

Deno.test("bench:history: mistakes are refused in one sentence", () =>
  refuses("bench:history", [
    [["--rounds", "0"], "Cannot use --rounds 0: choose a whole number of at least 1"],
    [["--append"], 'Cannot use "--append": deno task bench:history has --rounds, --compare'],
    [["--rounds", "2"], "Cannot add an entry of --rounds 2: choose at least 3, or --compare"],
  ]));
