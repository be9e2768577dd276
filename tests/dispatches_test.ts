// Dispatches of an MoE layer on WebGPU in one training step of the default model, forward and backward together: the table
// by router and stage, and the bound that the routers compared by default keep to.
import { assert } from "@std/assert";
import type { Backend } from "../kernels/kernel.ts";
import { createLanguageModel } from "../models/language_model.ts";
import { findSize } from "../models/presets.ts";
import { type AnyRouterPlugin, parseOptions, routers } from "../routers/registry.ts";
import { add } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { currentStage } from "../tensor/stage.ts";
import { scoreFunctionLoss } from "../training/score_function.ts";
import { gpuTest, openGpu } from "./gpu.ts";

/** Most dispatches of a layer, for the routers that are held to it. */
const MOST = 40;
const held = [
  ...["hash", "switch", "gshard", "locmoe", "locmoe-plus", "skip", "gumbel-matching"],
  ...["base", "expert-choice", "forced-balance", "st-moe", "top-any"],
];

/** The default size; words are few because an MoE layer never sees how many there are. */
const size = { ...findSize("small"), vocabulary: 64 };
const stages = ["route", "dispatch", "experts", "combine"] as const;
const shared = openGpu();

/** Dispatches by stage of one step: forward, losses and gradients of all parameters. */
async function dispatchesOf(router: AnyRouterPlugin): Promise<Record<string, number>> {
  using _scope = memory();
  const gpu = await shared();
  const byStage: Record<string, number> = {};
  const backend: Backend = {
    ...gpu,
    run(kernel, inputs, params) {
      const before = gpu.statistics().dispatches;
      const made = gpu.run(kernel, inputs, params);
      byStage[currentStage()] = (byStage[currentStage()] ?? 0) + gpu.statistics().dispatches - before;
      return made;
    },
  };
  const V = size.vocabulary;
  const model = createLanguageModel(
    { size, V, tokenCount_V: new Int32Array(V).fill(1), router, routerOptions: parseOptions(router) },
    createInit(backend, random(1)),
  );
  const T = size.batch * size.length;
  const words = random(2).uniform(T + 1).map((draw) => Math.floor(draw * V));
  const batch = {
    tokenId_T: Int32Array.from(words.subarray(0, T)),
    target_T: Int32Array.from(words.subarray(1)),
    sequences: equalSequences(size.batch, size.length),
  };
  const output = await model.forward(batch, { training: true, step: 0, random: random(3) });
  const sampled = output.layers.flatMap(({ routing }) => routing.estimator ?? []);
  const total = [
    ...Object.values(output.losses),
    ...sampled.map((estimator) => scoreFunctionLoss(output.loss_T, estimator)),
  ].reduce(add, output.loss);
  const params = Object.values(model.params);
  await Promise.all((await gradients(total, params)).map((gradient) => gradient?.read()));
  for (const { buffer } of params) gpu.free(buffer);
  return Object.fromEntries(stages.map((name) => [name, (byStage[name] ?? 0) / output.layers.length]));
}

gpuTest(`an MoE layer takes at most ${MOST} dispatches with ${held.join(", ")}`, async () => {
  const totals = new Map<string, number>();
  console.log(`dispatches of an MoE layer, forward and backward: ${stages.join(", ")} = all`);
  for (const router of routers()) {
    const counts = await dispatchesOf(router);
    const total = stages.reduce((sum, name) => sum + counts[name], 0);
    totals.set(router.name, total);
    const each = stages.map((name) => String(counts[name]).padStart(4)).join("");
    console.log(`  ${router.name.padEnd(16)} ${each} = ${total}`);
  }
  for (const name of held) {
    const total = totals.get(name);
    assert(total !== undefined && total <= MOST, `${name} takes ${total} dispatches, more than ${MOST}`);
  }
});
