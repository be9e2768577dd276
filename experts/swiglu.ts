// Gated experts: (silu(x W_gate) * x W_in) W_out (Shazeer 2020, as in Mixtral), and the form of GPT-OSS. Interleaved, gate
// and units are one product whose columns take turns: the layout in which GPT-OSS's weights are published.
import * as z from "zod";
import { gated, gatedPairs, type GatedParams } from "../tensor/activations.ts";
import { constant, type Init, type Params } from "../tensor/init.ts";
import { groupedMatmul } from "../tensor/products.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ExpertDims, ExpertPlugin, ExpertRows } from "./expert.ts";
import { dropoutOption, dropUnits, keptByDropout } from "./parts/dropout.ts";
import { outDeviationOption, pairedUnitsIn, unitsIn, unitsOut } from "./parts/init.ts";
import {
  type BankMatrices,
  bankMatrices,
  matrixBytes,
  type WeightsKept,
  weightsOption,
} from "./parts/matrices.ts";
import { checkPrecision, operandsIn, type Precision, precisionOption } from "./parts/precision.ts";

/** Options of {@linkcode swiglu}. */
export interface SwigluOptions {
  /** Biases on all three matrices, starting at 0 (GPT-OSS: true). */
  readonly bias: boolean;
  /** Gates are clamped from above, units on both sides (GPT-OSS: 7); null = neither. */
  readonly limit: number | null;
  /** Factor inside the gate's sigmoid (GPT-OSS: 1.702). */
  readonly steepness: number;
  /** Added to units before the gate opens them (GPT-OSS: 1). */
  readonly shift: number;
  /** W_gate and W_in in one matrix whose columns take turns, gates first (GPT-OSS: true). */
  readonly interleaved: boolean;
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
 * SwiGLU experts: (silu(x W_gate) * x W_in) W_out (Shazeer 2020, equation 6; Mixtral).
 *
 * GPT-OSS: with g = min(x W_gate + b_gate, 7) and u = x W_in + b_in held between -7 and 7, an expert is
 * (g sigmoid(1.702 g) (u + 1)) W_out + b_out, from released code (transformers 5.24).
 * @example
 * ```ts
 * import { parseExpertOptions, swiglu } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const [dims, options] = [{ D: 4, F: 8, E: 2 }, parseExpertOptions(swiglu)];
 * assertEquals([swiglu.parameters(dims, options), swiglu.flopPerToken(dims, options)], [96, 192]);
 * const gptOss = { bias: true, limit: 7, steepness: 1.702, shift: 1, interleaved: true };
 * assertEquals(swiglu.parameters(dims, parseExpertOptions(swiglu, gptOss)), 96 + 8 + 8 + 4);
 * ```
 */
export const swiglu: ExpertPlugin<SwigluOptions> = {
  name: "swiglu",
  about: "(silu(x W_gate) * x W_in) W_out, as in Mixtral; clamped, steeper and shifted, as in GPT-OSS.",
  readings: [
    "GPT-OSS's form is that of released code (transformers 5.24): bias = true, limit = 7, steepness = 1.702, shift = 1, " +
    "interleaved = true.",
  ],
  options: z.strictObject({
    bias: z.boolean().default(false).describe("biases on all three matrices, starting at 0 (GPT-OSS: true)"),
    limit: z.number().positive().nullable().default(null).describe(
      "gates are clamped from above, units on both sides (GPT-OSS: 7); null = neither",
    ),
    steepness: z.number().positive().default(1).describe("factor inside the gate's sigmoid (GPT-OSS: 1.702)"),
    shift: z.number().default(0).describe("added to units before the gate opens them (GPT-OSS: 1)"),
    interleaved: z.boolean().default(false).describe(
      "W_gate and W_in in one matrix whose columns take turns, gates first (GPT-OSS: true)",
    ),
    outDeviation: outDeviationOption,
    dropout: dropoutOption,
    precision: precisionOption,
    weights: weightsOption,
  }),
  parameters: ({ D, F }, { bias }) => 3 * D * F + (bias ? 2 * F + D : 0),
  keptBytes: ({ D, F, E }, { bias, interleaved, weights }) =>
    (interleaved ? matrixBytes(weights, E, D, 2 * F) : 2 * matrixBytes(weights, E, D, F)) +
    matrixBytes(weights, E, F, D) + (bias ? 4 * E * (2 * F + D) : 0),
  flopPerToken: ({ D, F }) => 6 * D * F,
  activationsPerToken: ({ D, F }, { dropout, precision }) =>
    D + F * (3 + keptByDropout(dropout) + (precision === "half" ? 0.5 : 0)),
  create(dims, options, init) {
    const { D, F, E } = dims;
    checkPrecision(options.precision, init.backend);
    const operand = operandsIn(options.precision);
    const hidden = (options.interleaved ? pairedUnits : separateUnits)(dims, options, init);
    const deviation = options.outDeviation ?? 1 / Math.sqrt(F);
    const out = bankMatrices("out", [E, F, D], () => unitsOut("out", dims, deviation, init), options, init);
    const biases = options.bias ? { outBias: zeros("outBias", [E, D], init) } : {};
    return {
      params: { ...hidden.params, ...out.params, ...biases },
      apply({ rows, offset_O, random }) {
        const hidden_NF = hidden.apply({ rows: { ...rows, x_TD: operand(rows.x_TD) }, offset_O }, rows.x_TD);
        const kept_NF = operand(dropUnits(hidden_NF, options.dropout, random));
        return groupedMatmul(kept_NF, out.operand(rows.x_TD), offset_O, { bias_EM: biases.outBias });
      },
      free() {
        for (const each of [...hidden.matrices, out]) each.free();
      },
    };
  },
};

/** Weights of the hidden units, and the units [N, F] of rows. */
interface HiddenUnits {
  readonly params: Params;
  readonly matrices: readonly BankMatrices[];
  /** Copies of weights belong with the tokens `beside` them. */
  apply(rows: ExpertRows, beside: Tensor): Tensor;
}

const formOf = ({ limit, steepness, shift }: SwigluOptions): GatedParams => ({
  limit: limit ?? undefined,
  steepness,
  shift,
});

const zeros = (name: string, shape: readonly number[], init: Init) =>
  init.parameter(name, shape, constant(0), { decays: false });

function separateUnits(dims: ExpertDims, options: SwigluOptions, init: Init): HiddenUnits {
  const { D, F, E } = dims;
  const [gate, into] = ["gate", "in"].map((name) =>
    bankMatrices(name, [E, D, F], () => unitsIn(name, dims, init), options, init)
  );
  const biases = options.bias
    ? { gateBias: zeros("gateBias", [E, F], init), inBias: zeros("inBias", [E, F], init) }
    : {};
  return {
    params: { ...gate.params, ...into.params, ...biases },
    matrices: [gate, into],
    apply: ({ rows, offset_O }, beside) =>
      gated(
        groupedMatmul(rows, gate.operand(beside), offset_O, { bias_EM: biases.gateBias }),
        groupedMatmul(rows, into.operand(beside), offset_O, { bias_EM: biases.inBias }),
        formOf(options),
      ),
  };
}

function pairedUnits(dims: ExpertDims, options: SwigluOptions, init: Init): HiddenUnits {
  const { D, F, E } = dims;
  const make = () => pairedUnitsIn("gateIn", ["gate", "in"], dims, init);
  const gateIn = bankMatrices("gateIn", [E, D, 2 * F], make, options, init);
  const biases = options.bias ? { gateInBias: zeros("gateInBias", [E, 2 * F], init) } : {};
  return {
    params: { ...gateIn.params, ...biases },
    matrices: [gateIn],
    apply: ({ rows, offset_O }, beside) =>
      gatedPairs(
        groupedMatmul(rows, gateIn.operand(beside), offset_O, { bias_EM: biases.gateInBias }),
        formOf(options),
      ),
  };
}
