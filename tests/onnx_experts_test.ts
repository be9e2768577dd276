// Experts out of ONNX files: what they compute beside plain loops, what is said of files that are no experts, and that a
// model whose experts are frozen evaluates, trains its router where nothing before them learns, and says so elsewhere.
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { onnx } from "../experts/onnx.ts";
import { parseExpertOptions } from "../experts/registry.ts";
import { recall } from "../tasks/recall.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { tensor } from "../tensor/tensor.ts";
import { configOf, type Settings } from "../training/config.ts";
import { train } from "../training/train.ts";
import { applied, toAll } from "./expert_contract.ts";
import { type OnnxGraph, onnxModel } from "./onnx_file.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const backend = await cpu({ threads: 1 });
const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

async function saved(name: string, graph: OnnxGraph): Promise<string> {
  await Deno.writeFile(`${folder}/${name}`, await onnxModel(graph));
  return `${folder}/${name}`;
}

/** x, through W_in, a ReLU and W_out. */
function network(
  D: number,
  F: number,
  seed: number,
): { readonly graph: OnnxGraph; row(x: ArrayLike<number>): number[] } {
  const [first, second] = ["first", "second"].map((name) =>
    random(seed).split(name).normal(D * F).map((value) => value / 4)
  );
  const graph: OnnxGraph = {
    nodes: [
      { op: "MatMul", inputs: ["x", "first"], output: "sums" },
      { op: "Relu", inputs: ["sums"], output: "hidden" },
      { op: "MatMul", inputs: ["hidden", "second"], output: "y" },
    ],
    weights: { first: { values: first, shape: [D, F] }, second: { values: second, shape: [F, D] } },
  };
  const sum = (count: number, of: (at: number) => number) =>
    Array.from({ length: count }, (_, at) => of(at)).reduce((total, each) => total + each, 0);
  return {
    graph,
    row(x) {
      const hidden = Array.from({ length: F }, (_, f) => Math.max(0, sum(D, (d) => x[d] * first[d * F + f])));
      return Array.from({ length: D }, (_, d) => sum(F, (f) => hidden[f] * second[f * D + d]));
    },
  };
}

function bankOf(models: readonly string[], D: number, E: number) {
  const options = parseExpertOptions(onnx, { models });
  return onnx.create({ D, F: 1, E }, options, createInit(backend, random(0)));
}

Deno.test("each expert's rows go through its own file, files taking turns", async () => {
  using _scope = memory(backend);
  const [D, E] = [5, 4];
  const networks = [network(D, 7, 1), network(D, 3, 2)];
  const bank = bankOf(await Promise.all(networks.map(({ graph }, at) => saved(`${at}.onnx`, graph))), D, E);
  const rows = toAll(6, { D, F: 1, E });
  const { y_ND, position_N } = await applied(bank, rows, tensor(backend, rows.x, [rows.T, D]), E);
  const [y, position] = [await y_ND.read(), await position_N.read()];
  let apart = 0;
  for (const [n, expert] of rows.expert.entries()) {
    const x = rows.x.subarray(rows.token[n] * D, (rows.token[n] + 1) * D);
    const [want, other] = [networks[expert % 2].row(x), networks[1 - expert % 2].row(x)];
    want.forEach((value, d) => assertAlmostEquals(y[position[n] * D + d], value, 1e-5, `row ${n}, ${d}`));
    apart += Number(Math.abs(want[0] - other[0]) > 1e-3);
  }
  assert(apart > 20, "the two files are too alike to be told apart");
  bank.free?.();
});

Deno.test("files that are no experts are refused by name", async () => {
  using _scope = memory(backend);
  const run = async (...models: string[]) => {
    const bank = bankOf(models, 4, models.length);
    const rows = toAll(2, { D: 4, F: 1, E: models.length });
    await applied(bank, rows, tensor(backend, rows.x, [2, 4]), models.length);
  };
  const refused = async (path: string, message: string) => {
    const { message: found } = await assertRejects(() => run(path), Error) as Error;
    assert(found.startsWith("Cannot ") && found.includes(message), found);
  };
  await refused(`${folder}/none.onnx`, "none.onnx");
  await Deno.writeTextFile(`${folder}/words.onnx`, "no model");
  await refused(`${folder}/words.onnx`, `Cannot open ${folder}/words.onnx as an ONNX model`);
  const both = { nodes: [{ op: "Add", inputs: ["a", "b"], output: "y" }], inputs: ["a", "b"] };
  await refused(
    await saved("two.onnx", both),
    'as an expert: it takes "a", "b" and gives "y"; an expert has one input',
  );
  const narrow = await saved("narrow.onnx", {
    nodes: [{ op: "MatMul", inputs: ["x", "w"], output: "y" }],
    weights: { w: { values: new Float32Array(12).fill(1), shape: [4, 3] } },
  });
  await refused(narrow, "of rows [2, 4] it makes Float32Array [2, 3]");
  const wide = await saved("wide.onnx", network(5, 2, 3).graph);
  await refused(wide, "Cannot run " + wide + " on x [2, 4]");
});

Deno.test("experts without files, or with a number of them that does not divide the experts, are refused", () => {
  assertThrows(() => bankOf([], 4, 2), RangeError, 'Cannot make experts "onnx": models names no file');
  assertThrows(() => bankOf(["a", "b"], 4, 3), RangeError, "3 experts are no multiple of the 2 files");
});

Deno.test("where the package is missing, the error names it", async () => {
  const program = new URL("../experts/parts/onnx_runtime.ts", import.meta.url);
  await Deno.writeTextFile(`${folder}/deno.json`, "{}");
  await Deno.writeTextFile(
    `${folder}/main.ts`,
    `import { openModel } from "${program}";\n` +
      `await openModel("a.onnx", 4).catch((error) => console.log(error.message));\n`,
  );
  const args = ["run", "--config", `${folder}/deno.json`, "--no-lock", "--cached-only", "--allow-read"];
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...args, `${folder}/main.ts`],
    cwd: folder,
    env: { DENO_DIR: `${folder}/nothing`, NO_COLOR: "1" },
  }).output();
  const said = new TextDecoder().decode(stdout);
  assert(said.startsWith("Cannot load npm:onnxruntime-web@1.30.0: "), said);
});

Deno.test("a router learns over frozen experts where nothing before them does, and a model that does says why not", async () => {
  const path = await saved("network.onnx", network(32, 16, 5).graph);
  const experts: Settings = { experts: { name: "onnx", models: [path], flop: 2048 } };
  const task = { "task.name": "recall", "task.facts": 64, "task.objects": 8 };
  const facts = await recall.load(parseTaskOptions(recall, { facts: 64, objects: 8 }));
  const size = { "train.length": 64, "train.steps": 12, "model.outputNorm": false };
  using run = await train(configOf(recall.defaults, task, size, experts), { backend, data: facts });
  assertEquals(run.record.header.flop!.expert, 2048);
  assert(run.record.end!.routerGradient! > 0);
  const data = await madeUpData();
  const words = tinyConfig("switch", {}, least, { "model.width": 32 }, experts);
  await assertRejects(
    () => train(words, { backend, data }),
    TypeError,
    'Cannot take a gradient through experts "onnx": their models are frozen',
  );
});
