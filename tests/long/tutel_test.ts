// End to end against another system: all of Tutel's published training losses of a run, five minutes of two slow cores, and
// first losses that top-any has to reach as well.
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { topAny } from "../../routers/top_any.ts";
import { memory } from "../../tensor/memory.ts";
import { scalar } from "../../tensor/reduce.ts";
import { createRun, holdLosses, tolerance, uniformWithin32 } from "../tutel_run.ts";

Deno.test("top-2, two experts, f64 in Tutel: all hundred losses", () => holdLosses(100));

/** First losses of tests/test_baseline.json of microsoft/tutel (MIT), batches of 16 in f32, which Tutel's own router takes. */
const firstLosses = [
  { top: 2, experts: 2, loss: 24.080132 },
  { top: 1, experts: 1, loss: 29.985006 },
] as const;

for (const { top, experts, loss } of firstLosses) {
  Deno.test(`top-${top} of ${experts}, f32 in Tutel: the first loss of a batch of 16, by top-any`, async () => {
    const run = await createRun(16, uniformWithin32, topAny, { k: top, balance: 0 }, experts);
    using _scope = memory(run.backend);
    const { logit_BL, expert_N } = await run.logits();
    assertEquals((await expert_N.read()).filter((expert) => expert < 0).length, 0);
    const largest = Math.max(...(await logit_BL.read()).map(Math.abs));
    // Both sides round, and the printed number ends at six digits.
    const limit = 2 * tolerance(0, loss, loss, largest) + 5e-7;
    assertAlmostEquals(await scalar(run.loss(logit_BL)), loss, limit);
    run.close();
  });
}
