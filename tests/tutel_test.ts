// End to end against another system: Tutel's published training losses, from its seeds on. They pin scoring, top-k, slot
// order, drops, experts with biases, every gradient and SGD at once. All hundred, and top-any: tests/long/tutel_test.ts.
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { switchRouter } from "../routers/switch.ts";
import { memory } from "../tensor/memory.ts";
import { scalar } from "../tensor/reduce.ts";
import { normal32, torchSeed, uniform32 } from "./mersenne_twister.ts";
import oracle from "./oracles/tutel_training_losses.json" with { type: "json" };
import { createRun, holdLosses, tolerance, uniformWithin32 } from "./tutel_run.ts";

Deno.test("streams begin as PyTorch's do", () => {
  const near = (found: Float32Array, want: number[]) =>
    want.forEach((value, at) => assertAlmostEquals(found[at], value, 1e-7));
  near(uniform32(torchSeed(0), 3), [0.4962566, 0.7682218, 0.0884774]);
  near(normal32(torchSeed(0), 16), [-1.1258398, -1.1523602, -0.2505786]);
});

Deno.test("top-2, two experts, f64 in Tutel: the first five losses", () => holdLosses(5));

Deno.test("top-1, two experts, f32 in Tutel: the first loss of a batch of 16, with 16 tokens dropped", async () => {
  const { losses } = oracle.configs.find(({ dtype, top }) => dtype === "float32" && top === 1)!;
  const run = await createRun(16, uniformWithin32, switchRouter, {
    capacityRule: "tutel",
    capacityFactor: 1,
    jitter: 0,
    balance: 0,
  });
  using _scope = memory(run.backend);
  const { logit_BL, expert_N } = await run.logits();
  assertEquals((await expert_N.read()).filter((expert) => expert < 0).length, 16);
  const largest = Math.max(...(await logit_BL.read()).map(Math.abs));
  // Both sides round.
  const limit = 2 * tolerance(0, losses[0], losses[0], largest);
  assertAlmostEquals(await scalar(run.loss(logit_BL)), losses[0], limit);
  run.close();
});
