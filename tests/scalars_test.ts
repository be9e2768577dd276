// Values that routers log: recorded every step by name and layer, and no part of what is trained.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { train } from "../training/train.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

Deno.test("the cosine gate's temperature is recorded from its start on; other gates log nothing", async () => {
  using backend = await cpu({ threads: 1 });
  const data = await madeUpData();
  const config = (options: Record<string, unknown>) =>
    tinyConfig("top-any", options, least, { "train.steps": 4 });
  using run = await train(config({ gate: "cosine", temperature: 0.25 }), { backend, data });
  const temperatures = run.record.steps.map(({ scalars }) => scalars!["temperature, layer 1"]);
  assertEquals(temperatures.length, 4);
  assertAlmostEquals(temperatures[0], 0.25, 1e-6);
  assert(new Set(temperatures).size > 1, `it is learned: ${temperatures}`);
  using other = await train(config({}), { backend, data });
  assertEquals(other.record.steps.map(({ scalars }) => scalars), [
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("the loss with the assignment of training is recorded, and is another where assignments differ", async () => {
  using backend = await cpu({ threads: 1 });
  const data = await madeUpData();
  const lossesOf = async (router: string) => {
    using run = await train(tinyConfig(router, {}, least, { "train.steps": 4 }), { backend, data });
    return [run.record.end!.loss, run.record.end!.trainingAssignmentLoss!];
  };
  const [base, balanced] = await lossesOf("base");
  assert(balanced > 0 && balanced !== base, `${balanced} beside ${base}`);
  const [hash, same] = await lossesOf("hash");
  assertEquals(same, hash);
});
