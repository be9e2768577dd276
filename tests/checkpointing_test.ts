// Activations given up between the forward and the backward pass: for every router and kind of experts the run is the same
// bit for bit where they are recomputed, memory falls, and nothing is left behind.
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { experts } from "../experts/registry.ts";
import type { Backend } from "../kernels/kernel.ts";
import { routers } from "../routers/registry.ts";
import { add, affine, exp, multiply } from "../tensor/arithmetic.ts";
import { checkpointed, type Checkpointing } from "../tensor/checkpointing.ts";
import { fork, takePeakBytes } from "../tensor/context.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory, release, spending } from "../tensor/memory.ts";
import { sumAll } from "../tensor/reduce.ts";
import { parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import type { Settings } from "../training/config.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { train } from "../training/train.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { tinyConfig } from "./run_configs.ts";
import { data, small } from "./small_run.ts";

/** Rows of a run but for its header, and the peak of its largest step. */
async function trained(
  on: Backend,
  how: Checkpointing,
  router: string,
  ...settings: readonly Settings[]
): Promise<{ readonly rows: string; readonly losses: readonly number[]; readonly peakBytes: number }> {
  const config = tinyConfig(router, {}, small, ...settings, { "train.checkpointActivations": how });
  using run = await train(config, { backend: on, data });
  const [, ...rows] = recordRows(run.record);
  return {
    rows: recordText(rows),
    losses: run.record.steps.map(({ loss }) => loss),
    peakBytes: Math.max(...run.timing.steps.map(({ peakBytes }) => peakBytes!)),
  };
}

const deep = { "model.layers": 4, "train.batch": 8, "train.steps": 3, "train.evaluations": 1 };

for (const { name } of routers()) {
  Deno.test(`recomputed activations change no bit of a run of router ${name}, and take less memory`, async () => {
    using backend = await cpu({ threads: 1 });
    const before = backend.statistics().usedBytes;
    const kept = await trained(backend, "none", name, deep);
    const recomputed = await trained(backend, "recompute", name, deep);
    assertEquals(recomputed.rows, kept.rows);
    assert(recomputed.peakBytes < 0.9 * kept.peakBytes, `${recomputed.peakBytes} of ${kept.peakBytes} bytes`);
    assertEquals(backend.statistics().usedBytes, before);
  });
}

for (const { name, frozen } of experts()) {
  if (frozen) continue;
  Deno.test(`recomputed activations change no bit of a run of ${name} experts`, async () => {
    using backend = await cpu({ threads: 1 });
    const settings = { ...deep, "experts.name": name, "model.sharedExpertWidth": 8, "train.steps": 2 };
    const kept = await trained(backend, "none", "gshard", settings);
    assertEquals((await trained(backend, "recompute", "gshard", settings)).rows, kept.rows);
  });
}

Deno.test("recomputed activations change no bit of a run whose experts' weights are rounded to 8 bits", async () => {
  using backend = await cpu({ threads: 1 });
  const settings = { ...deep, "experts.weights": "int8", "train.steps": 2 };
  const kept = await trained(backend, "none", "switch", settings);
  assertEquals((await trained(backend, "recompute", "switch", settings)).rows, kept.rows);
});

Deno.test("activations as f16 begin with the same loss, train nearly alike, and take less memory", async () => {
  using backend = await cpu({ threads: 1 });
  const before = backend.statistics().usedBytes;
  const kept = await trained(backend, "none", "switch", deep);
  const half = await trained(backend, "half", "switch", deep);
  assertEquals(half.losses[0], kept.losses[0]);
  assert(half.losses[1] !== kept.losses[1], "nothing was rounded");
  // Gradients of activations rounded to 11 bits, over two updates.
  half.losses.forEach((loss, at) => assert(Math.abs(loss / kept.losses[at] - 1) < 2 ** -10, `${loss}`));
  assert(half.peakBytes < 0.9 * kept.peakBytes, `${half.peakBytes} of ${kept.peakBytes} bytes`);
  assertEquals(backend.statistics().usedBytes, before);
});

const gpu = openGpu();
gpuTest("recomputed activations change no bit on WebGPU", async () => {
  const backend = await gpu();
  const short = { ...deep, "model.layers": 2, "train.steps": 2 };
  const kept = await trained(backend, "none", "switch", short);
  const recomputed = await trained(backend, "recompute", "switch", short);
  assertEquals(recomputed.rows, kept.rows);
  assert(recomputed.peakBytes < kept.peakBytes);
});

Deno.test("what a part uploads, uses and releases is still read when it is recomputed", async () => {
  using backend = await cpu({ threads: 1 });
  const before = backend.statistics().usedBytes;
  {
    using _scope = memory(backend);
    using w = parameter(backend, Float32Array.of(0.5, -0.25), [2]);
    // exp(2 (x + w) + 1), whose gradient reads the result alone.
    const y = await checkpointed(backend, "recompute", { least: 1, stays: () => [] }, () => {
      const sum = spending(tensor(backend, [0.1, 0.2], [2]), (x) => add(x, w));
      return exp(spending(spending(sum, (each) => affine(each, 2, 0)), (each) => affine(each, 1, 1)));
    });
    const [gradient] = await gradients(sumAll(y), [w]);
    const found = await gradient!.read();
    [0.6, -0.05].forEach((sum, at) => assertAlmostEquals(found[at], 2 * Math.exp(2 * sum + 1), 1e-5));
  }
  assertEquals(backend.statistics().usedBytes, before);
});

Deno.test("a parameter that was assigned, an input that is gone, and a missing scope are refused by name", async () => {
  using backend = await cpu({ threads: 1 });
  const part = (body: () => Tensor) =>
    checkpointed(backend, "recompute", { least: 1, stays: () => [] }, body);
  await assertRejects(
    () => part(() => tensor(backend, [1], [1])),
    TypeError,
    "Cannot give up activations on cpu: no memory scope is open",
  );
  using _scope = memory(backend);
  using w = parameter(backend, Float32Array.of(2), [1], { name: "gate" });
  const x = tensor(backend, [3], [1]);
  const assigned = await part(() => multiply(x, w));
  w.assign(tensor(backend, [4], [1]));
  await assertRejects(
    () => assigned.read(),
    TypeError,
    'Cannot run binary again: parameter "gate" was assigned after activations were made with it',
  );
  const orphan = await part(() => exp(x));
  release(x);
  await assertRejects(() => orphan.read(), TypeError, "that it read is gone: it was released");
});

Deno.test("bytes of arrays are counted by handle, and those written over once", async () => {
  using device = await cpu({ threads: 1 });
  const [one, other] = [fork(device), fork(device)];
  {
    using _scope = memory(one);
    tensor(one, new Float32Array(100), [100]);
  }
  assertEquals([takePeakBytes(one), takePeakBytes(other), takePeakBytes(one)], [400, 0, 0]);
});
