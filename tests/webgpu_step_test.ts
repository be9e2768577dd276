// What a training step hands to a GPU: counts in the timing record that add up, few submits, one wait, and after the
// first steps nothing made or uploaded that was there before.
import { assert, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { WebgpuStatistics } from "../gpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import { affine } from "../kernels/mod.ts";
import { type SizeName, sizes } from "../models/sizes.ts";
import { stages, type TimingRecord } from "../training/record.ts";
import type { StepQueue } from "../training/record.ts";
import { train } from "../training/train.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

const shared = openGpu();
const data = await madeUpData();

async function timingOf(
  backend: Backend,
  { sizeName, steps, onStep = () => {} }: { sizeName: SizeName; steps: number; onStep?: () => void },
): Promise<TimingRecord> {
  const config = tinyConfig("switch", {}, sizes[sizeName], { "train.steps": steps });
  using run = await train(config, { backend, data, onStep });
  return run.timing;
}

gpuTest("the default model's steps count what they queue, by stage, in at most two submits", async () => {
  const { steps } = await timingOf(await shared(), { sizeName: "small", steps: 3 });
  const queues = steps.map(({ queue }) => queue as StepQueue);
  for (const { seconds, hostSeconds } of steps) {
    assert(
      hostSeconds! > 0 && hostSeconds! < seconds,
      `${hostSeconds} s of ${seconds} are the program's own`,
    );
  }
  for (const { dispatches, submits, reads, dispatchesByStage } of queues) {
    // A batch is made by the program itself.
    const queuing = stages.filter((stage) => stage !== "batch");
    assertEquals(Object.keys(dispatchesByStage).sort(), queuing.sort());
    const counts = Object.values(dispatchesByStage);
    assert(counts.every((count) => Number.isInteger(count) && count > 0), `${counts}`);
    assertEquals(counts.reduce((sum, count) => sum + count), dispatches);
    assert(submits <= 2, `${submits} submits`);
    assertEquals(reads, 1);
  }
  // Equal steps queue equal work.
  assertEquals(new Set(queues.map((queue) => JSON.stringify(queue))).size, 1);
  const [{ dispatchesByStage, dispatches }] = queues;
  const { rest, ...inLayers } = dispatchesByStage;
  const shown = Object.entries(inLayers).map(([stage, count]) => `${count / 2} ${stage}`).join(", ");
  console.log(
    `default model: ${dispatches} dispatches a step; ${(dispatches - rest) / 2} an MoE block (${shown})`,
  );
});

Deno.test("a backend that computes at once counts nothing", async () => {
  using backend = await cpu({ threads: 1 });
  const { steps } = await timingOf(backend, { sizeName: "tiny", steps: 2 });
  assertEquals(steps.map((step) => "queue" in step || "hostSeconds" in step), [false, false]);
});

gpuTest("after the first steps a step makes nothing anew and uploads little but its text", async () => {
  const backend = await shared();
  const after: WebgpuStatistics[] = [];
  await timingOf(backend, {
    sizeName: "tiny",
    steps: 60,
    onStep: () => void after.push(backend.statistics()),
  });
  const [before, last] = [after[39], after[59]];
  const made = (name: "pipelines" | "bindGroups" | "blocks") => last[name] - before[name];
  assertEquals([made("pipelines"), made("bindGroups"), made("blocks")], [0, 0, 0]);
  // What differs from step to step: draws' keys, the learning rate and its corrections for each size of array.
  const perStep = (name: "uniformBytes" | "dispatches") => (last[name] - before[name]) / 20;
  console.log(`${perStep("uniformBytes")} bytes of numbers a step for ${perStep("dispatches")} dispatches`);
  assert(perStep("uniformBytes") < 256 * perStep("dispatches") / 10);
});

gpuTest("work that repeats the numbers of the work before uploads none of them", async () => {
  const backend = await shared();
  const x = backend.upload(Float32Array.of(1), [1]);
  const work = async () => {
    for (let at = 0; at < 100; at++) backend.free(backend.run(affine, [x], { scale: at, shift: 1 })[0]);
    await backend.read(x);
  };
  await work();
  const { uniformBytes } = backend.statistics();
  for (let round = 0; round < 3; round++) await work();
  assertEquals(backend.statistics().uniformBytes, uniformBytes);
  // New numbers beside them go up alone.
  for (let at = 0; at < 60; at++) backend.free(backend.run(affine, [x], { scale: at, shift: 2 })[0]);
  await work();
  const slotBytes = (backend.statistics().uniformBytes - uniformBytes) / 60;
  assert(slotBytes >= 128 && slotBytes <= 256, `${slotBytes} bytes for each of 60 new dispatches`);
  backend.free(x);
});
