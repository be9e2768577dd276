// Two-layer experts: act(x W_in + b_in) W_out + b_out. The product applies its activation to its sums; squaring comes after.
import * as z from "zod";
import { square } from "../tensor/arithmetic.ts";
import { constant } from "../tensor/init.ts";
import { groupedMatmul } from "../tensor/products.ts";
import type { Parameter } from "../tensor/tensor.ts";
import type { ExpertPlugin } from "./expert.ts";
import { dropoutOption, dropUnits, keptByDropout } from "./parts/dropout.ts";
import { outDeviationOption, unitsIn, unitsOut } from "./parts/init.ts";
import { bankMatrices, matrixBytes, type WeightsKept, weightsOption } from "./parts/matrices.ts";
import { checkPrecision, operandsIn, type Precision, precisionOption } from "./parts/precision.ts";

/** Options of {@linkcode feedForward}. */
export interface FeedForwardOptions {
  /** Activation of the hidden units. */
  readonly activation: "relu" | "gelu" | "silu" | "relu-squared";
  /** Biases on both layers, starting at 0. */
  readonly bias: boolean;
  /** Standard deviation of W_out's init; null = 1 / sqrt(F). */
  readonly outDeviation: number | null;
  /** Share of hidden units dropped in training (Switch fine-tunes with 0.4 in experts). */
  readonly dropout: number;
  /** `half` stores what products read as f16 and adds up in f32 (WebGPU only). */
  readonly precision: Precision;
  /** Format that products read weights in, rounded from f32 every pass; gradients go straight through. */
  readonly weights: WeightsKept;
}

/**
 * Feed-forward experts: act(x W_in + b_in) W_out + b_out. GELU is the exact one; squared ReLU is Primer's (So et al. 2021).
 * @example
 * ```ts
 * import { feedForward } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const options = feedForward.options.parse({ activation: "gelu" });
 * const rest = { dropout: 0, precision: "full", weights: "f32" } as const;
 * assertEquals(options, { activation: "gelu", bias: false, outDeviation: null, ...rest });
 * const dims = { D: 4, F: 8, E: 2 };
 * assertEquals([feedForward.parameters(dims, options), feedForward.flopPerToken(dims, options)], [64, 128]);
 * ```
 */
export const feedForward: ExpertPlugin<FeedForwardOptions> = {
  name: "feed-forward",
  about: "act(x W_in + b_in) W_out + b_out, with ReLU, GELU, SiLU or squared ReLU.",
  options: z.strictObject({
    activation: z.enum(["relu", "gelu", "silu", "relu-squared"]).default("relu").describe(
      "activation of the hidden units",
    ),
    bias: z.boolean().default(false).describe("biases on both layers, starting at 0"),
    outDeviation: outDeviationOption,
    dropout: dropoutOption,
    precision: precisionOption,
    weights: weightsOption,
  }),
  parameters: ({ D, F }, { bias }) => 2 * D * F + (bias ? F + D : 0),
  keptBytes: ({ D, F, E }, { bias, weights }) =>
    matrixBytes(weights, E, D, F) + matrixBytes(weights, E, F, D) + (bias ? 4 * E * (F + D) : 0),
  flopPerToken: ({ D, F }) => 4 * D * F,
  activationsPerToken({ D, F }, { activation, dropout, precision }) {
    // ReLU's derivative is read off its result; the others keep it, and squared ReLU keeps what it squares.
    const units = activation === "relu" ? 1 : 2;
    const fused = activation !== "relu-squared" && dropout === 0;
    const stored = precision === "full" ? units : fused ? units / 2 : units + 0.5;
    return D + F * (stored + keptByDropout(dropout));
  },
  create(dims, options, init) {
    const { D, F, E } = dims;
    checkPrecision(options.precision, init.backend);
    const operand = operandsIn(options.precision);
    const squares = options.activation === "relu-squared";
    const into = bankMatrices("in", [E, D, F], () => unitsIn("in", dims, init), options, init);
    const deviation = options.outDeviation ?? 1 / Math.sqrt(F);
    const out = bankMatrices("out", [E, F, D], () => unitsOut("out", dims, deviation, init), options, init);
    const biases: Record<string, Parameter> = options.bias
      ? {
        inBias: init.parameter("inBias", [E, F], constant(0), { decays: false }),
        outBias: init.parameter("outBias", [E, D], constant(0), { decays: false }),
      }
      : {};
    return {
      params: { ...into.params, ...out.params, ...biases },
      apply({ rows, offset_O, random }) {
        const x_ND = { ...rows, x_TD: operand(rows.x_TD) };
        const drops = options.dropout > 0 && random !== undefined;
        const hidden_NF = groupedMatmul(x_ND, into.operand(rows.x_TD), offset_O, {
          bias_EM: biases.inBias,
          activation: squares ? "relu" : options.activation,
          half: options.precision === "half" && !squares && !drops,
        });
        const units_NF = squares ? square(hidden_NF) : hidden_NF;
        const kept_NF = operand(dropUnits(units_NF, options.dropout, random));
        return groupedMatmul(kept_NF, out.operand(rows.x_TD), offset_O, { bias_EM: biases.outBias });
      },
      free() {
        into.free();
        out.free();
      },
    };
  },
};
