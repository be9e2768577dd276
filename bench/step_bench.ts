// `deno bench`: a whole training step of the default model by router, switch as the baseline. Kernels of a first step
// are checked by their references; a step whose loss is no number throws.
import { cpu } from "../cpu/backend.ts";
import { createLanguageModel } from "../models/language_model.ts";
import { findSize } from "../models/presets.ts";
import { findRouter, parseOptions } from "../routers/registry.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { createAdamW } from "../training/optimizer.ts";
import { createProgressState } from "../training/train_state.ts";
import { batchesOf, trainStep } from "../training/train_step.ts";
import { benchDataset, trainSteps } from "./step.ts";
import { verified } from "./verify.ts";

const sizeName = "small";
const size = findSize(sizeName);
const dataset = await benchDataset(size);
const backend = await cpu();
const { threads } = backend;
const options = { backend, dataset, machine: { threads, machine: "" }, version: "" };

const compared = ["switch", "hash", "gshard", "locmoe", "locmoe-plus", "gumbel-matching", "skip"].map(
  findRouter,
);

await verified(backend, async (watching) => {
  for (const router of compared) await trainSteps(watching, { router, size, sizeName, dataset, threads }, 1);
});
for (const router of compared) {
  const { name } = router;
  const routerOptions = parseOptions(router);
  const plan = { run: name, label: name, sizeName, seed: 0, steps: 1, size, router, routerOptions };
  const model = createLanguageModel(
    { ...plan, V: dataset.vocabulary.size, tokenCount_V: dataset.countByToken },
    createInit(backend, random(0)),
  );
  const optimizer = createAdamW(model.params);
  const state = createProgressState(model, optimizer);
  const batchAt = batchesOf(plan, dataset);
  const parts = { plan, options, model, optimizer, state, batchAt, learningRate: size.learningRate };
  Deno.bench({
    name,
    group: `training step, size ${sizeName}`,
    baseline: name === "switch",
    async fn() {
      await trainStep(parts);
      state.step++;
    },
  });
}
