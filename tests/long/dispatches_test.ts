// Dispatches of an MoE layer on WebGPU in one training step of the default model, forward and backward together: the table
// by router and stage, and the bound that the routers compared by default keep to.
import { assert, assertEquals } from "@std/assert";
import documented from "../../docs/decisions/fused_moe_path.md" with { type: "text" };
import type { Backend } from "../../kernels/kernel.ts";
import { createModel } from "../../models/model.ts";
import { sizes } from "../../models/sizes.ts";
import { type AnyRouterPlugin, routers } from "../../routers/registry.ts";
import { gradients } from "../../tensor/gradients.ts";
import { createInit } from "../../tensor/init.ts";
import { memory } from "../../tensor/memory.ts";
import { random } from "../../tensor/random.ts";
import { equalSequences } from "../../tensor/sequences.ts";
import { currentStage } from "../../tensor/stage.ts";
import { specOf } from "../../training/spec_of.ts";
import { trainingLoss } from "../../training/training_loss.ts";
import { gpuTest, openGpu } from "../gpu.ts";
import { tinyConfig, wordsAlone } from "../run_configs.ts";

/** Most dispatches of a layer, for the routers that are held to it. */
const MOST = 40;
const held = [
  ...["hash", "switch", "gshard", "locmoe", "locmoe-plus", "skip", "gumbel-matching"],
  ...["base", "expert-choice", "forced-balance", "st-moe", "top-any"],
];

/** Words of a model of size "small": few, because an MoE layer never sees how many there are. */
const V = 64;
const stages = ["route", "dispatch", "experts", "combine"] as const;
const shared = openGpu();

/** Dispatches by stage of one step: forward, losses and gradients of all parameters. */
async function dispatchesOf(router: AnyRouterPlugin): Promise<Record<string, number>> {
  const gpu = await shared();
  const byStage: Record<string, number> = {};
  const backend: Backend = {
    ...gpu,
    run(kernel, inputs, params) {
      const before = gpu.statistics().dispatches;
      const made = gpu.run(kernel, inputs, params);
      const stage = currentStage(backend);
      byStage[stage] = (byStage[stage] ?? 0) + gpu.statistics().dispatches - before;
      return made;
    },
  };
  using _scope = memory(backend);
  const config = tinyConfig(router, {}, sizes.small);
  const model = createModel(specOf(config, wordsAlone(V)), createInit(backend, random(1)));
  const { length } = config.train;
  const T = config.train.batch * length;
  const words = random(2).uniform(T + 1).map((draw) => Math.floor(draw * V));
  const batch = {
    tokenId_T: Int32Array.from(words.subarray(0, T)),
    target_T: Int32Array.from(words.subarray(1)),
    sequences: equalSequences(config.train.batch, length),
  };
  const output = await model.forward(batch, { training: true, step: 0, random: random(3) });
  const total = trainingLoss(output);
  const params = Object.values(model.params);
  await Promise.all((await gradients(total, params)).map((gradient) => gradient?.read()));
  model.free();
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
  // The page that says so; a change that takes more has to say why there.
  const rows = documented.matchAll(/^\| (?:\*\*)?([a-z-]+)(?:\*\*)? +\| +[\d-]+ \| +(\d+) \|$/gm);
  const table = Object.fromEntries(Array.from(rows, ([, name, now]) => [name, Number(now)]));
  assertEquals(Object.fromEntries(totals), table);
});
