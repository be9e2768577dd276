// Gated experts: (silu(x W_gate) * x W_in) W_out (Shazeer 2020, as in Mixtral).
import * as z from "zod";
import { gated } from "../tensor/arithmetic.ts";
import { groupedMatmul } from "../tensor/products.ts";
import type { ExpertPlugin } from "./expert.ts";
import { dropUnits, keptByDropout } from "./parts/dropout.ts";
import { unitsIn, unitsOut } from "./parts/init.ts";
import { checkPrecision, operandsIn, type Precision, precisionOption } from "./parts/precision.ts";

/** Options of {@linkcode swiglu}. */
export interface SwigluOptions {
  /** Standard deviation of W_out's init; null = 1 / sqrt(F). */
  readonly outDeviation: number | null;
  /** Share of hidden units dropped in training (Switch fine-tunes with 0.4 in experts). */
  readonly dropout: number;
  /** `half` stores what products read as f16 and adds up in f32 (WebGPU only). */
  readonly precision: Precision;
}

/**
 * SwiGLU experts: (silu(x W_gate) * x W_in) W_out (Shazeer 2020, equation 6; Mixtral).
 * @example
 * ```ts
 * import { swiglu } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const [dims, options] = [{ D: 4, F: 8, E: 2 }, swiglu.options.parse({})];
 * assertEquals([swiglu.parameters(dims, options), swiglu.flopPerToken(dims, options)], [96, 192]);
 * ```
 */
export const swiglu: ExpertPlugin<SwigluOptions> = {
  name: "swiglu",
  about: "(silu(x W_gate) * x W_in) W_out, as in Mixtral.",
  options: z.strictObject({
    outDeviation: z.number().positive().nullable().default(null)
      .describe("standard deviation of W_out's init; null = 1 / sqrt(F)"),
    dropout: z.number().min(0).lt(1).default(0)
      .describe("share of hidden units dropped in training (Switch fine-tunes with 0.4 in experts)"),
    precision: precisionOption,
  }),
  parameters: ({ D, F }) => 3 * D * F,
  flopPerToken: ({ D, F }) => 6 * D * F,
  activationsPerToken: ({ D, F }, { dropout, precision }) =>
    D + F * (3 + keptByDropout(dropout) + (precision === "half" ? 0.5 : 0)),
  create(dims, options, init) {
    checkPrecision(options.precision, init.backend);
    const operand = operandsIn(options.precision);
    const gate_EDF = unitsIn("gate", dims, init);
    const in_EDF = unitsIn("in", dims, init);
    const out_EFD = unitsOut("out", dims, options.outDeviation ?? 1 / Math.sqrt(dims.F), init);
    return {
      params: { gate: gate_EDF, in: in_EDF, out: out_EFD },
      apply({ rows, offset_O, random }) {
        const x_ND = { ...rows, x_TD: operand(rows.x_TD) };
        const hidden_NF = gated(
          groupedMatmul(x_ND, operand(gate_EDF, rows.x_TD), offset_O),
          groupedMatmul(x_ND, operand(in_EDF, rows.x_TD), offset_O),
        );
        const kept_NF = operand(dropUnits(hidden_NF, options.dropout, random));
        return groupedMatmul(kept_NF, operand(out_EFD, rows.x_TD), offset_O);
      },
    };
  },
};
