// Two-layer experts: act(x W_in + b_in) W_out + b_out with ReLU or exact GELU.
import { z } from "zod";
import { constant } from "../tensor/init.ts";
import { groupedMatmul } from "../tensor/products.ts";
import type { Parameter } from "../tensor/tensor.ts";
import type { ExpertPlugin } from "./expert.ts";
import { dropUnits } from "./dropout.ts";
import { unitsIn, unitsOut } from "./init.ts";
import { checkPrecision, operandsIn, type Precision, precisionOption } from "./precision.ts";

/** Options of {@linkcode feedForward}. */
export interface FeedForwardOptions {
  readonly activation: "relu" | "gelu";
  readonly bias: boolean;
  readonly outDeviation: number | null;
  readonly dropout: number;
  readonly precision: Precision;
}

/**
 * Feed-forward experts: act(x W_in + b_in) W_out + b_out, ReLU or exact GELU.
 * @example
 * ```ts
 * import { feedForward } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const options = feedForward.options.parse({ activation: "gelu" });
 * assertEquals(options, { activation: "gelu", bias: false, outDeviation: null, dropout: 0, precision: "full" });
 * assertEquals(feedForward.flopPerToken({ D: 4, F: 8, E: 2 }, options), 128);
 * ```
 */
export const feedForward: ExpertPlugin<FeedForwardOptions> = {
  name: "feed-forward",
  about: "act(x W_in + b_in) W_out + b_out, ReLU or GELU.",
  options: z.strictObject({
    activation: z.enum(["relu", "gelu"]).default("relu").describe("activation of the hidden units"),
    bias: z.boolean().default(false).describe("biases on both layers, starting at 0"),
    outDeviation: z.number().positive().nullable().default(null)
      .describe("standard deviation of W_out's init; null = 1 / sqrt(F)"),
    dropout: z.number().min(0).lt(1).default(0)
      .describe("share of hidden units dropped in training (Switch fine-tunes with 0.4 in experts)"),
    precision: precisionOption,
  }),
  flopPerToken: ({ D, F }) => 4 * D * F,
  create(dims, options, init) {
    const { D, F, E } = dims;
    checkPrecision(options.precision, init.backend);
    const operand = operandsIn(options.precision);
    const in_EDF = unitsIn("in", dims, init);
    const out_EFD = unitsOut("out", dims, options.outDeviation ?? 1 / Math.sqrt(F), init);
    const biases: Record<string, Parameter> = options.bias
      ? {
        inBias: init.parameter("inBias", [E, F], constant(0), { decays: false }),
        outBias: init.parameter("outBias", [E, D], constant(0), { decays: false }),
      }
      : {};
    return {
      params: { in: in_EDF, out: out_EFD, ...biases },
      apply({ rows, offset_O, random }) {
        const x_ND = { ...rows, x_TD: operand(rows.x_TD) };
        const drops = options.dropout > 0 && random !== undefined;
        const hidden_NF = groupedMatmul(x_ND, operand(in_EDF, rows.x_TD), offset_O, {
          bias_EM: biases.inBias,
          activation: options.activation,
          half: options.precision === "half" && !drops,
        });
        const kept_NF = operand(dropUnits(hidden_NF, options.dropout, random));
        return groupedMatmul(kept_NF, operand(out_EFD, rows.x_TD), offset_O, { bias_EM: biases.outBias });
      },
    };
  },
};
