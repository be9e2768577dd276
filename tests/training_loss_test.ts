// What a step differentiates: every term once, and a sentence where one is missing.
import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { scalar } from "../tensor/reduce.ts";
import { parameter, tensor } from "../tensor/tensor.ts";
import { trainingLoss } from "../training/training_loss.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

Deno.test("the loss, each router's losses and each sampled router's term are in it once", async () => {
  using _scope = memory(backend);
  const one = (value: number) => parameter(backend, Float32Array.of(value), [1]);
  const [loss, balance, z, logP] = [one(2), one(0.5), one(0.25), one(-1)];
  const estimator = { logProbability_T: logP, importance_T: tensor(backend, [3], [1]), baseline: 1 };
  const loss_T = tensor(backend, [5], [1]);
  const layers = [{ routing: { estimator } }, { routing: {} }, { routing: { estimator } }];
  const total = trainingLoss({ loss, loss_T, losses: { balance, z }, layers });
  assertAlmostEquals(await scalar(total), 2 + 0.5 + 0.25 + 2 * 3 * (5 - 1) * -1, 1e-6);
  const found = await gradients(total, [loss, balance, z, logP]);
  assertEquals(await Promise.all(found.map((gradient) => scalar(gradient!))), [1, 1, 1, 24]);
});

Deno.test("without a loss, or without that of each token where a router samples, it says what to give", () => {
  using _scope = memory(backend);
  const value = tensor(backend, [1], [1]);
  const estimator = { logProbability_T: value, importance_T: value, baseline: 0 };
  assertThrows(() => trainingLoss({ losses: {}, layers: [] }), TypeError, "give the batch targets");
  const sampled = { loss: value, losses: {}, layers: [{ routing: { estimator } }] };
  assertThrows(() => trainingLoss(sampled), TypeError, "give loss_T");
});
