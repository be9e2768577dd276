// Ten training steps of a router on made-up text, for whoever holds them to the losses written down in
// oracles/golden_losses.json: Deno here, and pages of a browser.
import type { Backend } from "../kernels/kernel.ts";
import { rowsOf } from "../models/spec.ts";
import { train } from "../training/train.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

/** What is written down. */
export interface Golden {
  readonly about: string;
  /** Losses of steps 0 to 9 by router, nats. */
  readonly losses: Readonly<Record<string, readonly number[]>>;
}

/** How golden losses are trained and held. */
export interface GoldenRun {
  readonly steps: number;
  readonly usualRate: number;
  /** Losses of the steps, nats. */
  lossesOf(router: string, backend: Backend, learningRate?: number): Promise<number[]>;
  /** How far a step's loss may lie from the golden one. */
  tolerance(loss: number, step: number): number;
}

/** Makes the text. */
export async function goldenRun(): Promise<GoldenRun> {
  const data = await madeUpData();
  const steps = 10;
  const { model, train: { learningRate: usualRate, length: L, batch } } = tinyConfig("switch");

  async function lossesOf(
    router: string,
    backend: Backend,
    learningRate: number = usualRate,
  ): Promise<number[]> {
    const losses: number[] = [];
    const config = tinyConfig(router, {}, { "train.steps": steps, "train.learningRate": learningRate });
    using _run = await train(config, { backend, data, onStep: ({ loss }) => losses.push(loss) });
    return losses;
  }

  /**
   * How far two orders of rounding may lie apart. A loss is the end of a chain of sums; n roundings of random sign in it
   * leave an error of about sqrt(n) u, u = 2^-24 (Higham and Mary 2019, "A New Approach to Probabilistic Rounding Error
   * Analysis"). A step's chain is three times the terms of its forward pass, and each step goes on from the one before.
   */
  function tolerance(loss: number, step: number): number {
    const { width: D, heads, feedForwardWidth, layers } = model;
    const attention = D + D + D / heads + L + D;
    const network = D + D + feedForwardWidth + D;
    const head = D + D + rowsOf(data.input) + batch * L;
    const roundings = 3 * (layers * (attention + network) + head) * (step + 1);
    return loss * 2 ** -24 * Math.sqrt(roundings);
  }

  return { steps, usualRate, lossesOf, tolerance };
}
