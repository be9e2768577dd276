// `deno task convert` as a user types it: a dense model upcycled, a sparse one pruned and merged, each opened again by the
// commands on kept models and by training; every mistake in one sentence.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import { configOf, type Settings } from "../training/config.ts";
import { loadModel } from "../training/load_model.ts";
import { createTrainer } from "../training/trainer.ts";
import { assertRefused } from "./experiments_command.ts";
import { runTask, type Task } from "./task_command.ts";

const folder = await Deno.makeTempDir();
const backend = await cpu({ threads: 1 });
addEventListener("unload", () => {
  backend.close();
  Deno.removeSync(folder, { recursive: true });
});

/** Runs a task from the folder of the models. */
const typed = (task: Task, ...words: string[]) => runTask(task, words, { INIT_CWD: folder });

const task = findTask("languages");
const data = await task.load(parseTaskOptions(task, {}));
for (const [name, own] of Object.entries({ dense: { "model.moeEvery": 0 }, sparse: {} })) {
  const settings: Settings = {
    ...task.defaults,
    ...task.sizes.tiny,
    "task.name": "languages",
    "train.steps": 3,
    ...own,
  };
  using trainer = await createTrainer(configOf(settings), { backend, data, names: { run: name } });
  for (let step = 0; step < 3; step++) await trainer.step();
  await trainer.saveModel(`${folder}/${name}.model.safetensors`);
}

/** Held-out losses that the command printed. */
function lossesOf(out: string): [before: number, after: number] {
  const found = out.match(/Held-out loss (\S+) before, (\S+) after; weights /);
  assert(found, out);
  return [Number(found[1]), Number(found[2])];
}

Deno.test("a dense model is upcycled without a change of its loss, sampled from and trained on", async () => {
  const { code, out, error } = await typed(
    "convert",
    "dense",
    "--upcycle",
    "8",
    "--parts",
    "2",
    "--set",
    "top-any.k=4",
  );
  assertEquals([code, error], [0, ""]);
  const [before, after] = lossesOf(out);
  assertEquals(after, before);
  using loaded = await loadModel(`${folder}/dense-upcycled`, { backend });
  assertEquals(loaded.run, "dense-upcycled");
  const { feedForward } = loaded.model.spec.layers[1];
  assert(feedForward.kind === "moe");
  assertEquals([feedForward.E, feedForward.F, feedForward.router.name], [8, 32, "top-any"]);
  const sampled = await typed("sample", "dense-upcycled", "--prompt", "All ", "--max-tokens", "4");
  assertEquals(sampled.code, 0, sampled.error);
  const words = ["--from", "dense-upcycled", "--steps", "2", "--seeds", "1", "--no-controls", "--out", "on"];
  const trained = await typed("experiments", ...words);
  assertEquals(trained.code, 0, trained.error);
  const record = await Deno.readTextFile(`${folder}/on/runs/top-any-seed0.jsonl`);
  const [, loss] = record.match(/"kind":"evaluation","step":0,"loss":([\d.]+)/)!;
  assertEquals(Number(loss).toFixed(4), after.toFixed(4));
});

Deno.test("experts are pruned and merged, layer by layer, and what is kept is told and opens", async () => {
  for (
    const [way, ending, told] of [["prune", "pruned", /now: \d; \d; \d\n/], [
      "merge",
      "merged",
      /now: .*0\.\d\d of \d/,
    ]] as const
  ) {
    const { code, out, error } = await typed("convert", "sparse", `--${way}`, "3,2", "--batches", "2");
    assertEquals([code, error], [0, ""]);
    assertMatch(out, told);
    assertMatch(out, /^Layer 0, tokens of each expert \(saliency\): 0: \d+ \([\d.e+-]+\), 1: /);
    assertStringIncludes(out, `--from ${folder}/sparse-${ending}.model.safetensors`);
    using loaded = await loadModel(`${folder}/sparse-${ending}`, { backend });
    const counts = loaded.model.spec.layers.map(({ feedForward }) =>
      feedForward.kind === "moe" ? feedForward.E : 0
    );
    assertEquals(counts, [3, 2]);
    const opened: readonly (readonly [Task, ...string[]])[] = [
      ["inspect", `sparse-${ending}`, "--tokens", "8"],
      ["export", `sparse-${ending}`, "--format", "safetensors"],
    ];
    for (const [task, ...words] of opened) {
      const { code, error } = await typed(task, ...words);
      assertEquals(code, 0, error);
    }
  }
});

Deno.test("every mistake is one sentence that names it", async () => {
  const cases: readonly (readonly [string[], string])[] = [
    [["sparse"], "Cannot convert in no way: give one of --upcycle, --prune, --merge"],
    [["sparse", "--prune", "2", "--merge", "2"], "Cannot convert in 2 ways at once"],
    [["--prune", "2"], "Cannot convert nothing: name one run"],
    [["sparse", "--prune", "0"], "Cannot use --prune 0: choose a whole number of at least 1"],
    [
      ["sparse", "--prune", "2,2,2"],
      "Cannot prune experts of sparse: 3 counts are given, and it has 2 mixtures",
    ],
    [
      ["sparse", "--prune", "9"],
      "Cannot keep 9 experts in layer 0: it has 4; choose a whole number from 1 to 4",
    ],
    [
      ["sparse", "--merge", "2", "--by", "load"],
      "Cannot use --by load with --merge: there are outputs, weights",
    ],
    [["sparse", "--prune", "2", "--parts", "2"], "Cannot use --parts with --prune: it is of another way"],
    [["sparse", "--prune", "2", "--unaligned"], "Cannot use --unaligned with --prune: it is of another way"],
    [["sparse", "--upcycle", "4"], "Cannot upcycle sparse: it has no dense layer"],
    [["dense", "--upcycle", "4,8"], "Cannot use --upcycle 4,8: choose one number for all layers"],
    [
      ["dense", "--upcycle", "4", "--layers", "7"],
      "Cannot upcycle layer 7 of dense: its dense layers are 0, 1",
    ],
    [["dense", "--upcycle", "4", "--share", "2"], "Cannot use --share 2: choose a number from 0 to 1"],
    [
      ["dense", "--upcycle", "4", "--parts", "5"],
      "Cannot upcycle dense: 5 parts do not divide a width of 64",
    ],
    [
      ["dense", "--upcycle", "4", "--set", "switch.jitter=0"],
      "Cannot use --set switch.jitter=0: set one value of an option of router",
    ],
    [["nowhere", "--prune", "2"], "no such file or folder"],
  ];
  for (const [words, why] of cases) {
    assertRefused(await typed("convert", ...words), [why], words.join(" "));
  }
});
