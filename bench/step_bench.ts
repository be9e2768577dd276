// `deno bench`: a whole training step of the default model by router, switch as the baseline. Kernels of a first step
// are checked by their references; a step whose loss is no number throws.
import { cpu } from "../cpu/backend.ts";
import { createModel } from "../models/model.ts";
import { findRouter } from "../routers/registry.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { createAdamW } from "../training/optimizer.ts";
import { specOf } from "../training/spec_of.ts";
import { createProgressState } from "../training/train_state.ts";
import { trainStep } from "../training/train_step.ts";
import { benchConfig, benchData, trainSteps } from "./step.ts";
import { verified } from "./verify.ts";

const sizeName = "small";
const data = await benchData(sizeName);
const backend = await cpu();
const { threads } = backend;

const compared = ["switch", "hash", "gshard", "locmoe", "locmoe-plus", "gumbel-matching", "skip"].map(
  findRouter,
);

await verified(backend, async (watching) => {
  for (const router of compared) await trainSteps(watching, { router, sizeName, data, threads }, 1);
});
for (const router of compared) {
  const { name } = router;
  const config = benchConfig(sizeName, router, 1);
  const { length, learningRate } = config.train;
  const model = createModel(specOf(config, data), createInit(backend, random(0)));
  const optimizer = createAdamW(model.params);
  const state = createProgressState(model, optimizer, length);
  const examplesAt = data.trainingExamples({ ...config.train, random: random(0).split("data") });
  Deno.bench({
    name,
    group: `training step, size ${sizeName}`,
    baseline: name === "switch",
    async fn() {
      await trainStep({ config, run: name, examplesAt, backend, model, optimizer, state, learningRate });
      state.step++;
    },
  });
}
