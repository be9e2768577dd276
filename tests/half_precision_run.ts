// Ten training steps in half precision beside ten in full, for tests of several routers.
import { assert, assertEquals } from "@std/assert";
import type { RunConfig } from "../training/config.ts";
import { train } from "../training/train.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

/** The largest relative change that rounding to f16 makes of a number that is not subnormal. */
export const HALF_EPSILON = 2 ** -11;
const STEPS = 10;
const shared = openGpu();

/** Text of the runs. */
export const data = await madeUpData();

/** A run of ten steps. */
export function configFor(router: string, precision: "full" | "half"): RunConfig {
  return tinyConfig(router, {}, {
    "train.length": 16,
    "train.steps": STEPS,
    "experts.precision": precision,
  });
}

/** A test on WebGPU: losses in half precision stay within its roundings of those in full, and fall. */
export function testFollowsFull(router: string): void {
  gpuTest(`${router}: ten steps in half precision follow those in full`, async () => {
    const backend = await shared();
    const run = async (precision: "full" | "half") => {
      using trained = await train(configFor(router, precision), { backend, data });
      return trained.record;
    };
    const [full, half] = [await run("full"), await run("half")];
    assertEquals([full.header.experts.precision, half.header.experts.precision], ["full", "half"]);
    // As for the two backends in webgpu_training_test.ts: independent roundings, a third of a squared epsilon each, of
    // numbers about as large as a loss (4), six standard deviations of both runs. A number is rounded to f16 as token,
    // weight, hidden unit and weight on its way forward, and what its gradient is multiplied with on the way back.
    const tolerance = (step: number) => 6 * 4 * HALF_EPSILON * Math.sqrt(8 * (step + 1) / 3);
    const off = full.steps.map(({ loss }, step) => Math.abs(loss - half.steps[step].loss));
    off.forEach((distance, step) => assert(distance <= tolerance(step), `step ${step}: ${distance} apart`));
    assert(off.some((distance) => distance > 0), "half precision changed nothing");
    assert(half.steps[STEPS - 1].loss < half.steps[0].loss - 0.1, "it learns");
    console.log(`${router}: losses differ by at most ${Math.max(...off).toExponential(1)}`);
  });
}
