// Linear experts: y = x W, with no hidden layer, as where experts divide a plane between them (regression). F plays no part.
import * as z from "zod";
import { constant, normal } from "../tensor/init.ts";
import { groupedMatmul } from "../tensor/products.ts";
import type { ExpertPlugin } from "./expert.ts";
import { dropUnits, keptByDropout } from "./parts/dropout.ts";

/** Options of {@linkcode linear}. */
export interface LinearOptions {
  /** A bias, starting at 0. */
  readonly bias: boolean;
  /** Standard deviation of W's init; null = 1 / sqrt(D). */
  readonly outDeviation: number | null;
  /** Share of outputs dropped in training; there are no hidden units to drop. */
  readonly dropout: number;
}

/**
 * Linear experts: x W + b.
 * @example
 * ```ts
 * import { linear } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const options = linear.options.parse({ bias: true });
 * assertEquals(linear.parameters({ D: 4, F: 8, E: 2 }, options), 20);
 * assertEquals(linear.flopPerToken({ D: 4, F: 8, E: 2 }, options), 32);
 * ```
 */
export const linear: ExpertPlugin<LinearOptions> = {
  name: "linear",
  about: "x W + b, without hidden units: F plays no part.",
  options: z.strictObject({
    bias: z.boolean().default(false).describe("a bias, starting at 0"),
    outDeviation: z.number().positive().nullable().default(null)
      .describe("standard deviation of W's init; null = 1 / sqrt(D)"),
    dropout: z.number().min(0).lt(1).default(0)
      .describe("share of outputs dropped in training; there are no hidden units to drop"),
  }),
  parameters: ({ D }, { bias }) => D * D + (bias ? D : 0),
  flopPerToken: ({ D }) => 2 * D * D,
  activationsPerToken: ({ D }, { dropout }) => D * (1 + keptByDropout(dropout)),
  create({ D, E }, options, init) {
    const out_EDD = init.parameter("out", [E, D, D], normal(options.outDeviation ?? 1 / Math.sqrt(D)));
    const biases = options.bias ? { outBias: init.parameter("outBias", [E, D], constant(0)) } : {};
    return {
      params: { out: out_EDD, ...biases },
      apply: ({ rows, offset_O, random }) =>
        dropUnits(
          groupedMatmul(rows, out_EDD, offset_O, { bias_EM: biases.outBias }),
          options.dropout,
          random,
        ),
    };
  },
};
