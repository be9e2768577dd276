// `deno task export` as a user types it: ONNX that onnxruntime-web agrees with, safetensors as they were, other options of a
// router, and every mistake in one sentence.
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { experimentsLine } from "../cli/experiment_options.ts";
import { exportLine, readExport } from "../cli/export.ts";
import { splitWords } from "../cli/options.ts";
import { cpu } from "../cpu/backend.ts";
import { openOnnx } from "../formats/onnx_session.ts";
import { readOnnx } from "../formats/onnx_read.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { agreementOf } from "../models/onnx/agreement.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import { configOf, type Settings } from "../training/config.ts";
import { loadModel } from "../training/load_model.ts";
import { createTrainer } from "../training/trainer.ts";
import { assertRefused } from "./experiments_command.ts";
import { decodeGguf } from "./gguf_file.ts";
import { onnxModel } from "./onnx_file.ts";
import { runTask } from "./task_command.ts";

const root = new URL("../", import.meta.url);
const folder = await Deno.makeTempDir();
const backend = await cpu({ threads: 1 });
addEventListener("unload", () => {
  backend.close();
  Deno.removeSync(folder, { recursive: true });
});

/** Runs the task from the folder of the models. */
const exporting = (...words: string[]) => runTask("export", words, { INIT_CWD: folder });

const task = findTask("languages");
const data = await task.load(parseTaskOptions(task, {}));
for (const router of ["switch", "deepseek"]) {
  const settings: Settings = {
    ...task.sizes.tiny,
    "task.name": "languages",
    "router.name": router,
    "train.steps": 3,
    ...(router === "deepseek" ? { "router.k": 2, "router.biasRate": 0.5 } : {}),
  };
  using trainer = await createTrainer(configOf({ ...task.defaults, ...settings }), { backend, data });
  for (let step = 0; step < 3; step++) await trainer.step();
  await trainer.saveModel(`${folder}/${router}-seed0.model.safetensors`);
}

const AGREES =
  /\nIn onnxruntime-web, on \d+ tokens drawn evenly: scores differ by at most (\S+) of the largest; of \d+ choices none differs\.\n$/;

Deno.test("a model is written as ONNX and agrees, the router's state included", async () => {
  for (const target of ["fused", "portable"]) {
    const { code, out, error } = await exporting(
      "deepseek-seed0",
      "--target",
      target,
      "--out",
      `${target}.onnx`,
    );
    assertEquals([code, error], [0, ""]);
    assertStringIncludes(out, `${folder}/${target}.onnx: `);
    const [, difference] = out.match(AGREES) ?? [];
    assert(Number(difference) <= 2e-6, out);
    using loaded = await loadModel(`${folder}/deepseek-seed0`, { backend });
    await using session = await openOnnx(`${folder}/${target}.onnx`);
    const found = await agreementOf(loaded.model, backend, session, [Int32Array.of(1, 2, 3, 4)]);
    assertEquals([found.different, found.tokens], [0, 4]);
  }
  const { metadata } = await readOnnx(`${folder}/fused.onnx`);
  assertEquals(JSON.parse(metadata.config).router.name, "deepseek");
});

Deno.test("a router with a limit is exported with it, or without where that is asked for, and says so", async () => {
  const limited = await exporting("switch-seed0", "--set", "switch.evaluationCapacityFactor=0.5");
  assertEquals([limited.code, limited.error], [0, ""]);
  assertMatch(limited.out, /of \d+ choices none differs\.\nIt decides with switch\.evaluation/);
  assertRefused(
    await exporting("switch-seed0", "--set", "switch.dropOrder=probability"),
    ['Cannot export router "switch" of layer', 'choose dropOrder "position"'],
    "in another order",
  );
  const { code, out, error } = await exporting("switch-seed0", "--set", "switch.capacityRule=dropless");
  assertEquals([code, error], [0, ""]);
  assertStringIncludes(out, `${folder}/switch-seed0.onnx: `);
  assertMatch(out, /none differs\.\nIt decides with switch\.capacityRule=dropless, unlike in its run\.\n$/);
});

Deno.test("safetensors hold what the model has, and what its router carries", async () => {
  const { code, out } = await exporting(
    "deepseek-seed0",
    "--format",
    "safetensors",
    "--out",
    "copy.safetensors",
  );
  assertEquals(code, 0);
  using loaded = await loadModel(`${folder}/deepseek-seed0`, { backend });
  const file = await readSafetensors(`${folder}/copy.safetensors`);
  assertEquals(file.metadata.format, "pt");
  for (const [name, param] of Object.entries(loaded.model.params)) {
    assertEquals([file.tensors.get(name)!.shape, await file.floats(name)], [
      [...param.shape],
      await param.read(),
    ]);
  }
  const states = Object.entries(loaded.model.routers).map(([path, { router }]) =>
    [path, router.state!().bias] as const
  );
  for (const [path, bias] of states) assertEquals(await file.floats(`state.${path}.bias`), bias);
  // And how often each token occurs.
  const count = Object.keys(loaded.model.params).length + states.length + 1;
  assertEquals(out, `${folder}/copy.safetensors: ${count} tensors, read back as they are\n`);
});

Deno.test("safetensors of several files are one model, which is loaded by its index", async () => {
  const { code, out, error } = await exporting(
    ...["deepseek-seed0", "--format", "safetensors", "--shard-size", "1", "--out", "parts.safetensors"],
  );
  assertEquals([code, error], [0, ""]);
  assertMatch(
    out,
    /parts\.safetensors\.index\.json: \d+ tensors, in parts-00001-of-0000\d\.safetensors.* beside it, read back/,
  );
  using loaded = await loadModel(`${folder}/parts.safetensors.index.json`, { backend });
  using whole = await loadModel(`${folder}/deepseek-seed0`, { backend });
  assertEquals(await loaded.look(Int32Array.of(1, 2, 3)), await whole.look(Int32Array.of(1, 2, 3)));
});

Deno.test("GGUF holds what the model has, and says that nothing runs it", async () => {
  const { code, out, error } = await exporting("deepseek-seed0", "--format", "gguf", "--out", "model.gguf");
  assertEquals([code, error], [0, ""]);
  assertMatch(out, /model\.gguf: \d+ tensors, read back as they are\nNo program runs it as a model: /);
  const { texts, tensors } = decodeGguf(await Deno.readFile(`${folder}/model.gguf`));
  using loaded = await loadModel(`${folder}/deepseek-seed0`, { backend });
  assertEquals(texts["general.architecture"], "switchyard");
  assertEquals(JSON.parse(texts["switchyard.config"]), JSON.parse(JSON.stringify(loaded.config)));
  for (const [name, param] of Object.entries(loaded.model.params)) {
    assertEquals(tensors[name], { kind: 0, shape: [...param.shape], values: await param.read() }, name);
  }
});

const page = await Deno.readTextFile(new URL("docs/onnx.md", root));
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}(?: ignore)?\\n([^]*?)\`\`\``, "g"))].map(([, block]) =>
    block
  );

Deno.test("the commands that the page shows are commands, and its programs run", async () => {
  const [train, write] = blocks("sh").join("").trim().split("\n").map((line) => line.split(" "));
  assertEquals([train[2], write[2]], [experimentsLine.task, exportLine.task]);
  splitWords(train.slice(3), experimentsLine);
  const { run, set } = readExport(splitWords(write.slice(3), exportLine), null);
  assertEquals([run, set], ["results/compare/runs/switch-seed0", []]);
  const home = `${folder}/page`;
  await Deno.mkdir(`${home}/results/compare/runs`, { recursive: true });
  const kept = "deepseek-seed0.model.safetensors";
  await Deno.copyFile(`${folder}/${kept}`, `${home}/results/compare/runs/switch-seed0.model.safetensors`);
  const weights = {
    a: { values: new Float32Array(8), shape: [2, 4] },
    b: { values: new Float32Array(8), shape: [4, 2] },
  };
  const [first, act, second] = [["MatMul", "x", "a", "h"], ["Relu", "h", "r"], ["MatMul", "r", "b", "y"]];
  const nodes = [first, act, second].map(([op, ...names]) => ({
    op,
    inputs: names.slice(0, -1),
    output: names.at(-1)!,
  }));
  await Deno.writeFile(`${home}/ffn.onnx`, await onnxModel({ nodes, weights }));
  const outs = [];
  for (const [at, block] of blocks("ts").entries()) {
    await Deno.writeTextFile(`${home}/${at}.ts`, block);
    const config = fileURLToPath(new URL("deno.json", root));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--config", config, "--allow-read", "--allow-write=.", `${at}.ts`],
      cwd: home,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    outs.push(new TextDecoder().decode(stdout));
  }
  assertEquals(outs.length, 2);
  assertMatch(
    outs[0],
    /^\[ 1, 3, \d+ \] \{\s+outputs: [\d.e-]+,\s+tokens: 3,\s+choices: \d+,\s+different: 0/,
  );
});

Deno.test("mistakes are said in one sentence", async () => {
  const read = (...words: string[]) => readExport(splitWords(words, exportLine), null);
  const refusals: readonly (readonly [words: string[], why: string])[] = [
    [[], "Cannot export nothing: name one run"],
    [["a", "b"], 'Cannot export "a", "b": name one run'],
    [["a", "--format", "onxn"], "Cannot use --format onxn: there are onnx, safetensors, gguf"],
    [["a", "--target", "gpu"], "Cannot use --target gpu: there are fused, portable, dense"],
    [["a", "--longest", "0"], "Cannot use --longest 0"],
    [["a", "--shard-size", "9"], "Cannot use --shard-size 9 with --format onnx: choose --format safetensors"],
    [["a", "--format", "safetensors", "--longest", "9"], "Cannot use --longest with --format safetensors"],
  ];
  for (const [words, why] of refusals) assertThrows(() => read(...words), RangeError, why);
  const set = (word: string) => exporting("switch-seed0", "--set", word);
  assertRefused(await set("hash.key=token"), ['which has router "switch"'], "another router");
  assertRefused(await set("switch.capacityRule=ceil,dropless"), ["set one value"], "two values");
  assertRefused(await set("switch.capacity=2"), ["Cannot set capacity of router"], "no such option");
  assertRefused(
    await exporting("deepseek-seed0", "--set", "deepseek.shared=2"),
    ['it has no "blocks'],
    "other weights",
  );
});

Deno.test("--weights writes experts' matrices in fewer bits, and what is loaded computes with them", async () => {
  const words = [
    "switch-seed0",
    "--format",
    "safetensors",
    "--weights",
    "int8",
    "--out",
    "packed.safetensors",
  ];
  const { code, error } = await exporting(...words);
  assertEquals([code, error], [0, ""]);
  const file = await readSafetensors(`${folder}/packed.safetensors`);
  const codes = [...file.tensors].filter(([, { dtype }]) => dtype === "I8").map(([name]) => name);
  assert(codes.length > 0);
  using whole = await loadModel(`${folder}/switch-seed0`, { backend });
  using loaded = await loadModel(`${folder}/packed.safetensors`, { backend });
  assertEquals(loaded.config.experts, { ...whole.config.experts, weights: "int8" });
  for (const name of codes) assert(name in whole.model.params && !(name in loaded.model.params), name);
  assertRefused(
    await exporting("switch-seed0", "--weights", "int8"),
    ["Cannot use --weights int8 with --format onnx: choose --format safetensors"],
    "another file format",
  );
});
