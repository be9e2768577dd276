// A saved model whose experts are kept in fewer bits: written by deno task export, read back as codes and scales alone, and
// evaluated as the model is that rounds its weights every pass.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { bytesOfWords, packedTensors, wordsOfBytes } from "../formats/packed_tensors.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { writeSafetensors } from "../formats/safetensors_write.ts";
import { packedBytesOf, packMatrices, unpackMatrices } from "../kernels/parts/packed_weights.ts";
import { weightFormatNames } from "../kernels/parts/weight_formats.ts";
import { createModel } from "../models/model.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import { memory } from "../tensor/memory.ts";
import { configOf } from "../training/config.ts";
import { pruneExperts } from "../training/fewer_experts.ts";
import { loadModel } from "../training/load_model.ts";
import { packedTensorsOf } from "../training/packed_experts.ts";
import { besideWeights } from "../training/saved_model.ts";
import { specOf } from "../training/spec_of.ts";
import { createTrainer } from "../training/trainer.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";

Deno.test("words and tensors are the same codes and scales, ragged rows included", () => {
  for (const format of weightFormatNames) {
    for (const shape of [[2, 41, 19], [1, 256, 130], [3, 5, 1]] as const) {
      const values = random(0).split(format).normal(shape[0] * shape[1] * shape[2]);
      const words = packMatrices(format, values, shape);
      const bytes = bytesOfWords(format, shape, words);
      packedTensors("w", format, shape).forEach(({ shape: dimensions, dtype }, at) => {
        const bits = { F16: 16, BF16: 16, F32: 32 }[dtype as string] ?? 8;
        assertEquals(
          bytes[at].length,
          dimensions.reduce((a, b) => a * b, 1) * bits / 8,
          `${format} ${dtype}`,
        );
      });
      const back = unpackMatrices(format, wordsOfBytes(format, shape, bytes), shape);
      assertEquals(back, unpackMatrices(format, words, shape), format);
    }
  }
});

const recall = findTask("recall");
const data = await recall.load(parseTaskOptions(recall));

for (const weights of ["int4", "mxfp4", "fp8", "bf16"] as const) {
  Deno.test(`${weights}: a file holds codes, a model loaded from it holds nothing else and scores the same bits`, async () => {
    using backend = await cpu({ threads: 1 });
    const config = configOf({ "task.name": "recall", ...recall.defaults, "experts.weights": weights });
    using trainer = await createTrainer(config, { backend, data });
    await trainer.step();
    const { model } = trainer;
    const { tensors, instead } = packedTensorsOf(model, specOf(config, data));
    assertEquals([...instead], ["blocks.0.experts.in", "blocks.0.experts.out"]);
    const others = Object.entries(model.params).filter(([name]) => !instead.has(name)).map(([name, param]) =>
      [name, { dtype: "F32", shape: param.shape, data: () => param.read() } as const] as const
    );
    const origin = { run: "mine", step: 1, loss: null, task: data.digest, version: "0" };
    const beside = besideWeights(config, data, origin);
    const folder = await Deno.makeTempDir();
    const path = `${folder}/mine.safetensors`;
    const counts = Object.entries(beside.tensors).map(([name, { values, shape }]) =>
      [name, { dtype: "I32", shape, data: values } as const] as const
    );
    await writeSafetensors(
      path,
      { ...tensors, ...Object.fromEntries([...others, ...counts]) },
      beside.metadata,
    );
    const file = await readSafetensors(path);
    assert(
      [...file.tensors.keys()].every((name) => !instead.has(name) || weights === "fp8" || weights === "bf16"),
    );
    const before = backend.statistics().usedBytes;
    using loaded = await loadModel(path, { backend });
    assertEquals(Object.keys(loaded.model.params).filter((name) => instead.has(name)), []);
    const held = backend.statistics().usedBytes - before;
    const empty = backend.statistics().usedBytes;
    const plain = createModel(specOf(config, data), createInit(backend, random(0)));
    const inFull = backend.statistics().usedBytes - empty;
    plain.free();
    const saved = [...instead].reduce((sum, name) => {
      const [E, K, M] = model.params[name].shape;
      return sum + 4 * E * K * M - packedBytesOf(weights, E, K, M);
    }, 0);
    // Blocks of the heap are of whole 64 bytes.
    assert(Math.abs(inFull - held - saved) < 4 * 64, `${held} bytes, in f32 ${inFull}; ${saved} are saved`);
    const scores = async (of: typeof model) => {
      using _scope = memory(of.backend);
      const tokenId_T = Int32Array.of(1, 5, 9, 2);
      const step = { training: false, step: 1, random: random(1) };
      return await (await of.forward({ tokenId_T, sequences: sequencesOf([1, 1, 1, 1]) }, step)).logits_TV!
        .read();
    };
    assertEquals(await scores(loaded.model), await scores(model));
    const kept = `the file of mine keeps its experts in ${weights}, which cannot be trained or changed`;
    const from = configOf({ "task.name": "recall", ...recall.defaults, "train.from": path });
    await assertRejects(
      () => createTrainer(from, { backend, data }),
      RangeError,
      `Cannot start from ${path}: ${kept}`,
    );
    await assertRejects(
      () => pruneExperts(loaded, 2, "load", { backend, data, batches: 1 }),
      RangeError,
      `Cannot prune experts of mine: ${kept}`,
    );
    loaded.close();
    assertEquals(backend.statistics().usedBytes, before);
    await assertRejects(
      () => loadModel(path, { backend, expertCacheBytes: 1000 }),
      RangeError,
      "its experts are kept in fewer bits; load it without expertCacheBytes",
    );
    await Deno.remove(folder, { recursive: true });
  });
}
