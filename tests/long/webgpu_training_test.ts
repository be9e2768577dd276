// Training on WebGPU: for every router the losses of ten steps are the CPU's within what rounding explains, routers
// decide alike, a step is read once but for scores that the host solves, and memory stays flat.
import { assert, assertEquals } from "@std/assert";
import { cpu } from "../../cpu/backend.ts";
import type { WebgpuBackend, WebgpuStatistics } from "../../gpu/backend.ts";
import { type Backend, shapeText } from "../../kernels/kernel.ts";
import { createModel } from "../../models/model.ts";
import { findRouter, routers } from "../../routers/registry.ts";
import type { AnyRouterPlugin } from "../../routers/registry.ts";
import { gradients } from "../../tensor/gradients.ts";
import { createInit } from "../../tensor/init.ts";
import { memory } from "../../tensor/memory.ts";
import { random } from "../../tensor/random.ts";
import { scalar } from "../../tensor/reduce.ts";
import { equalSequences } from "../../tensor/sequences.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { createAdamW } from "../../training/optimizer.ts";
import type { Settings } from "../../training/config.ts";
import { specOf } from "../../training/spec_of.ts";
import { trainingLoss } from "../../training/training_loss.ts";
import { gpuTest, openGpu } from "../gpu.ts";
import { apart, counting } from "../roundings.ts";
import { tinyConfig, wordsAlone } from "../run_configs.ts";

const STEPS = 10;
const V = 64;
const shared = openGpu();

const usual: Settings = { "model.moeEvery": 1, "train.length": 16, "train.learningRate": 3e-3 };

/** For many steps: two experts, sixteen tokens. */
const least: Settings = {
  ...usual,
  "model.width": 8,
  "model.heads": 1,
  "model.layers": 1,
  "model.feedForwardWidth": 16,
  "model.expertWidth": 16,
  "model.experts": 2,
  "train.length": 8,
  "train.batch": 2,
};

interface RunOptions {
  readonly size?: Settings;
  readonly steps?: number;
  readonly afterStep?: () => void;
}

interface Trace {
  readonly losses: readonly number[];
  /** Experts of all assignments of all layers, step by step. */
  readonly experts: readonly Int32Array[];
}

/** Trains on random text in which a word is often followed by the next higher one. */
async function run(
  backend: Backend,
  router: AnyRouterPlugin,
  { size = usual, steps = STEPS, afterStep = () => {} }: RunOptions = {},
): Promise<Trace> {
  const streams = random(1);
  const config = tinyConfig(router, {}, size);
  const { batch, length, learningRate } = config.train;
  const model = createModel(specOf(config, wordsAlone(V)), createInit(backend, streams.split("init")));
  const optimizer = createAdamW(model.params);
  const names = Object.keys(model.params);
  const T = batch * length;
  const losses: number[] = [];
  const experts: Int32Array[] = [];
  for (let step = 0; step < steps; step++) {
    using _scope = memory(backend);
    const drawn = streams.split("text").split(step).uniform(2 * T);
    const word = new Int32Array(T + 1);
    for (let t = 1; t <= T; t++) {
      word[t] = drawn[2 * t - 2] < 0.7 ? (word[t - 1] + 1) % V : Math.floor(drawn[2 * t - 1] * V);
    }
    const output = await model.forward({
      tokenId_T: word.slice(0, T),
      target_T: word.slice(1),
      sequences: equalSequences(T / length, length),
    }, { training: true, step, random: streams.split("routing").split(step) });
    const total = trainingLoss(output);
    const found = await gradients(total, Object.values(model.params));
    const byName: Record<string, Tensor> = {};
    names.forEach((name, at) => byName[name] = found[at]!);
    optimizer.update(byName, learningRate, step);
    const [loss, ...chosen] = await Promise.all([
      scalar(output.loss!),
      ...output.layers.map(({ routing }) => routing.expert_N.read()),
    ]);
    losses.push(loss);
    experts.push(...chosen as Int32Array[]);
    afterStep();
  }
  model.free();
  for (const name of names) {
    for (const { buffer } of Object.values(optimizer.moments[name])) backend.free(buffer);
  }
  return { losses, experts };
}

const onCpu = await cpu({ threads: 1 });
addEventListener("unload", () => onCpu.close());

/** Shapes of what each step reads, and how often it waits. */
function noting(backend: WebgpuBackend): { backend: Backend; steps: string[][]; afterStep(): void } {
  const steps: string[][] = [[]];
  let waits = backend.statistics().reads;
  return {
    steps,
    afterStep() {
      const { reads } = backend.statistics();
      steps.at(-1)!.push(`${reads - waits} waits`);
      waits = reads;
      steps.push([]);
    },
    backend: {
      ...backend,
      read(buffer) {
        steps.at(-1)!.push(shapeText(buffer.type.shape));
        return backend.read(buffer);
      },
    },
  };
}

/** Routers whose assignment the host solves: each layer reads its scores, once a step. */
const solved: readonly string[] = ["base", "gumbel-matching"];

for (const { name } of routers()) {
  gpuTest(`${name}: ten steps on WebGPU are those on the CPU`, async () => {
    const router = findRouter(name);
    const tolerances: number[] = [];
    const counted = counting(onCpu);
    // Numbers about as large as a loss, 4.
    const wanted = await run(counted.backend, router, {
      afterStep: () => tolerances.push(4 * apart(counted.roundings())),
    });
    const noted = noting(await shared());
    const found = await run(noted.backend, router, { afterStep: noted.afterStep });
    wanted.losses.forEach((loss, step) => {
      const off = Math.abs(found.losses[step] - loss);
      assert(
        off <= tolerances[step],
        `step ${step}: ${found.losses[step]}, CPU ${loss}, tolerance ${tolerances[step]}`,
      );
    });
    assert(wanted.losses[STEPS - 1] < wanted.losses[0], "it learns");
    const { model: { layers, experts }, train } = tinyConfig(router, {}, usual);
    const assignments = found.experts.slice(0, layers).map(({ length }) => `[${length}]`);
    const scores = `[${train.batch * train.length}, ${experts}]`;
    const byHost = solved.includes(name) ? new Array<string>(layers).fill(scores) : [];
    for (const reads of noted.steps.slice(0, STEPS)) {
      assertEquals(reads, [...byHost, "[1]", ...assignments, `${byHost.length + 1} waits`]);
    }
    const decided = wanted.experts.flatMap((list) => [...list]);
    const other = found.experts.flatMap((list) => [...list]).filter((expert, at) =>
      expert !== decided[at]
    ).length;
    const worst = Math.max(...wanted.losses.map((loss, step) => Math.abs(found.losses[step] - loss)));
    console.log(
      `${name}: losses differ by at most ${worst.toExponential(1)} (tolerance ${
        tolerances[STEPS - 1].toExponential(1)
      }), ` +
        `${other} of ${decided.length} decisions differ`,
    );
    assert(other / decided.length < 0.001, `${other} of ${decided.length} decisions differ`);
  });
}

gpuTest("memory on the GPU is flat over 500 steps", async () => {
  const backend = await shared();
  // Rotary tables are kept from the first run on.
  await run(backend, findRouter("switch"), { size: least, steps: 1 });
  const before = backend.statistics();
  const held: WebgpuStatistics[] = [];
  await run(backend, findRouter("switch"), {
    size: least,
    steps: 500,
    afterStep: () => held.push(backend.statistics()),
  });
  const [early, last] = [held[20], held[499]];
  console.log(
    `GPU memory after 20 steps: ${early.heldBytes} bytes in ${early.blocks} blocks; after 500: ${last.heldBytes} ` +
      `in ${last.blocks}. ${last.bindGroups - before.bindGroups} bind groups made`,
  );
  assertEquals([last.heldBytes, last.usedBytes], [early.heldBytes, early.usedBytes]);
  // Steps that repeat one another find the same blocks, and so nothing is made for them.
  assertEquals([last.bindGroups, last.pipelines], [early.bindGroups, early.pipelines]);
  assertEquals(backend.statistics().usedBytes, before.usedBytes);
});
