// Whole models as ONNX: attention, mixtures, dense layers and scores in onnxruntime-web, from bytes and from files with weights
// beside them; lengths and batches that the trace has not seen.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeOnnx, openOnnx, readOnnx, writeOnnx } from "../formats/mod.ts";
import {
  cpu,
  createInit,
  createModel,
  findTask,
  type Init,
  type Model,
  normal,
  parameter,
  parseTaskOptions,
  random,
} from "../mod.ts";
import { agreementOf, exportModel, type Target } from "../models/onnx/mod.ts";
import type { TaskData } from "../tasks/task.ts";
import { configOf, type Settings, specOf } from "../training/mod.ts";

const V = 61;
const backend = await cpu({ threads: 1 });
const input = { kind: "tokens", V, tokenCount_V: new Int32Array(V).fill(1) } as const;
const words = { input, output: { kind: "tokens" }, bestRouting: null } as const;
const small: Settings = { "model.width": 32, "model.heads": 4, "model.experts": 6, "model.expertWidth": 24 };

/** Weights that decide, and norms that are not 1. */
function drawn(init: Init): Init {
  return {
    ...init,
    parameter(name, shape, fill, options) {
      const isFlat = shape.length === 1 || /gate|noise|Bias/.test(name);
      return init.parameter(name, shape, isFlat ? normal(0.5) : fill, options);
    },
    part: (name) => drawn(init.part(name)),
  };
}

function modelOf(
  settings: Settings,
  data: Pick<TaskData, "input" | "output" | "bestRouting"> = words,
): Model {
  return createModel(
    specOf(configOf({ ...small, ...settings }), data),
    drawn(createInit(backend, random(5))),
  );
}

/** Sequences of one length. */
function sequences(count: number, length: number, below = V): Int32Array[] {
  return Array.from({ length: count }, (_, b) => random(b).split("ids").uniform(length)).map((row) =>
    Int32Array.from(row, (draw) => Math.floor(draw * below))
  );
}

const cases: Readonly<Record<string, Settings>> = {
  "noisy top-k and gated experts": { "router.name": "noisy-top-k", "router.k": 2, "experts.name": "swiglu" },
  "deepseek, shared key-value heads, partly turned": {
    "router.name": "deepseek",
    "router.k": 2,
    "model.layers": 3,
    "model.moeEvery": 1,
    "model.keyValueHeads": 2,
    "model.rotaryWidth": 4,
  },
  "an expert beside the mixture, by learned shares": {
    "router.name": "base",
    "model.sharedExpertWidth": 16,
    "model.sharedExpertMix": "learned",
    "experts.bias": true,
  },
  "an expert beside the mixture, added": { "router.name": "skip", "model.sharedExpertWidth": 16 },
  "room for some of the tokens": {
    "router.name": "gshard",
    "router.evaluationCapacityFactor": 0.6,
    "router.minimumCapacity": 1,
    "model.moeEvery": 1,
    "model.layers": 2,
  },
  "a hash of ids, biases": { "router.name": "hash", "experts.bias": true },
  "one sort of experts a layer, no attention": {
    "model.heads": 0,
    "model.layers": 2,
    "model.perLayer": [{ feedForward: "none" }, { router: { name: "sinkhorn" } }],
  },
};

for (const [name, settings] of Object.entries(cases)) {
  for (const target of ["fused", "portable", "dense"] as Target[]) {
    Deno.test(`a model with ${name} is the same in onnxruntime (${target})`, async () => {
      const model = modelOf(settings);
      await using session = await openOnnx(await encodeOnnx(await exportModel(model, backend, { target })));
      for (const [count, length] of [[3, 17], [1, 1], [2, 40]]) {
        const found = await agreementOf(model, backend, session, sequences(count, length));
        assertEquals([found.tokens, found.different], [count * length, 0]);
        assert(found.outputs > 0 && found.outputs <= 2e-6, `outputs differ by ${found.outputs}`);
      }
      model.free();
    });
  }
}

Deno.test("models of frozen vectors and of values are exported with their vectors", async () => {
  for (const name of ["recall", "regression"]) {
    const task = findTask(name);
    const data = await task.load(parseTaskOptions(task, {}));
    const settings: Settings = { ...task.defaults, "task.name": name, "router.name": "base" };
    const model = createModel(specOf(configOf(settings), data), drawn(createInit(backend, random(5))));
    await using session = await openOnnx(
      await encodeOnnx(await exportModel(model, backend, { target: "portable" })),
    );
    const found = await agreementOf(model, backend, session, sequences(2, 9, 8));
    assertEquals([found.tokens, found.different], [18, 0], name);
    assert(found.outputs <= 2e-6, `${name}: outputs differ by ${found.outputs}`);
    model.free();
  }
});

Deno.test("weights beside the model are found, and lie there as they were", async () => {
  const folder = await Deno.makeTempDir();
  const model = modelOf({ "router.name": "noisy-top-k" });
  try {
    const path = `${folder}/model.onnx`;
    const exported = await exportModel(model, backend, { target: "dense", metadata: { run: "mine" } });
    const files = await writeOnnx(path, exported, { oneFileBytes: 10_000, dataFileBytes: 20_000 });
    assert(files.length > 3);
    {
      await using session = await openOnnx(path);
      const found = await agreementOf(model, backend, session, sequences(2, 8));
      assert(found.different === 0 && found.outputs <= 2e-6);
    }
    const { weights, metadata } = await readOnnx(path);
    assertEquals(metadata, { run: "mine" });
    const [layer] = Object.keys(model.routers).map((router) => router.replace(/router$/, "experts.in"));
    const { data } = weights.find(({ name }) => name === layer)!;
    const bytes = data instanceof Uint8Array ? data : await (data as { make(): Promise<Uint8Array> }).make();
    assertEquals(new Float32Array(bytes.slice().buffer), await model.params[layer].read());
    await Deno.remove(`${folder}/${files[1]}`);
    await assertRejects(() => openOnnx(path), Error, "no such file or folder");
  } finally {
    await Deno.remove(folder, { recursive: true });
    model.free();
  }
});

Deno.test("sequences longer than the positions that were exported are refused by the runtime", async () => {
  const model = modelOf({ "router.name": "hash" });
  await using session = await openOnnx(await encodeOnnx(await exportModel(model, backend, { longest: 8 })));
  assertEquals((await agreementOf(model, backend, session, sequences(2, 8))).different, 0);
  const nine = { shape: [1, 9], values: new BigInt64Array(9) };
  await assertRejects(
    () => session.run({ input_ids: nine }),
    Error,
    "Cannot run bytes in memory on input_ids [1, 9]",
  );
  model.free();
});

Deno.test("a model that is not what was exported disagrees, in outputs and in choices", async () => {
  const [one, other] = [modelOf({ "router.name": "noisy-top-k" }), modelOf({ "router.name": "noisy-top-k" })];
  const gate = Object.keys(one.params).find((name) => name.endsWith("router.gate"))!;
  const values = await one.params[gate].read() as Float32Array;
  other.params[gate].assign(parameter(backend, values.map((value) => -value), one.params[gate].shape));
  await using session = await openOnnx(await encodeOnnx(await exportModel(one, backend)));
  const found = await agreementOf(other, backend, session, sequences(3, 10));
  // Every token of the first mixture goes elsewhere, so that nothing is left to compare.
  assert(found.different >= 30);
  assertEquals([found.choices, found.ties, found.tokens], [60, 0, 0]);
  other.params[gate].assign(parameter(backend, values, one.params[gate].shape));
  const moved = (await other.params.norm.read() as Float32Array).map((value) => 1.001 * value);
  other.params.norm.assign(parameter(backend, moved, [moved.length]));
  const scaled = await agreementOf(other, backend, session, sequences(3, 10));
  assert(scaled.different === 0 && Math.abs(scaled.outputs - 1e-3) < 1e-4, String(scaled.outputs));
  one.free();
  other.free();
});

Deno.test("a choice that differs with equal weights is a tie, and what sees it is not compared", async () => {
  const model = modelOf({ "router.name": "base" });
  await using session = await openOnnx(await encodeOnnx(await exportModel(model, backend)));
  const changed = (weight: number) => ({
    ...session,
    async run(inputs: Parameters<typeof session.run>[0]) {
      const found = await session.run(inputs);
      const [experts, weights] = ["experts", "weights"].map((kind) => {
        const name = session.outputs.find((output) => output.endsWith(`.choice.${kind}`))!;
        return found[name].values as BigInt64Array & Float32Array;
      });
      // Token 5 of the second sequence of ten.
      (experts as BigInt64Array)[15] = ((experts as BigInt64Array)[15] + 1n) % 6n;
      (weights as Float32Array)[15] += weight;
      (found.logits.values as Float32Array).fill(NaN, 15 * V, 20 * V);
      return found;
    },
  });
  const tie = await agreementOf(model, backend, changed(0), sequences(2, 10));
  assertEquals([tie.different, tie.ties, tie.tokens], [1, 1, 15]);
  assert(tie.outputs <= 2e-6);
  const other = await agreementOf(model, backend, changed(0.01), sequences(2, 10));
  assertEquals([other.different, other.ties], [1, 0]);
  model.free();
});

Deno.test("what cannot be exported is named with its layer, and leaves the model as it was", async () => {
  const model = modelOf({ "router.name": "switch", "router.dropOrder": "probability", "model.layers": 2 });
  const used = () => backend.statistics().usedBytes;
  const before = used();
  await assertRejects(
    () => exportModel(model, backend),
    RangeError,
    'Cannot export router "switch" of layer 1: it keeps assignments in another order than that of places',
  );
  assertEquals(used(), before);
  const free = modelOf({
    "router.name": "switch",
    "router.capacityRule": "dropless",
    "experts.activation": "gelu",
  });
  await assertRejects(
    () => exportModel(free, backend),
    RangeError,
    "Cannot export the experts of layer 1: its experts' activation",
  );
  free.free();
  model.free();
});
