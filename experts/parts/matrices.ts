// A bank's matrices as its products read them: parameters in f32, as f16 copies (precision.ts), or in a format of weights. A
// model that trains rounds its f32 parameters anew every pass; one that was saved in the format keeps codes and scales alone.
import * as z from "zod";
import type { WeightFormat } from "../../kernels/parts/weight_formats.ts";
import { weightFormatNames } from "../../kernels/parts/weight_formats.ts";
import { packedBytesOf } from "../../kernels/parts/packed_weights.ts";
import type { Init, Params } from "../../tensor/init.ts";
import { releaseHeld } from "../../tensor/memory.ts";
import type { OptionField } from "../../tensor/plugins.ts";
import { quantise, type QuantisedMatrices } from "../../tensor/quantised.ts";
import { type Parameter, seenFrom, type Tensor } from "../../tensor/tensor.ts";
import { operandsIn, type Precision } from "./precision.ts";

/** `f32`, or a format with fewer bits. */
export type WeightsKept = "f32" | WeightFormat;

/** The option of a kind of experts whose matrices may be kept in fewer bits. */
export const weightsOption: OptionField<WeightsKept> = z.enum(["f32", ...weightFormatNames]).default("f32")
  .describe(
    "format that products read weights in, rounded from f32 every pass; gradients go straight through",
  );

/** A matrix of every expert of a bank. */
export interface BankMatrices {
  /** The parameter by its name; nothing where codes and scales are all there is. */
  readonly params: Params;
  /** What a product beside these tokens reads. */
  operand(beside: Tensor): Tensor | QuantisedMatrices;
  /** Frees what is kept besides parameters. */
  free(): void;
}

/** How a bank keeps its matrices. */
export interface MatrixOptions {
  /** `half`: products read f16 copies. */
  readonly precision?: Precision;
  /** The format that products read. */
  readonly weights: WeightsKept;
}

/**
 * The matrices [E, K, M] named `name` of a bank: those that `init` has in the format, or else a parameter.
 * @param make Makes the parameter.
 * @throws {RangeError} for half precision and a format at once.
 * @example
 * ```ts
 * import { bankMatrices, cpu, createInit, groupedMatmul, normal, random, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const make = () => init.parameter("in", [1, 32, 8], normal(1));
 * const { params, operand } = bankMatrices("in", [1, 32, 8], make, { weights: "int8" }, init);
 * const x_ND = tensor(backend, random(1).normal(64), [2, 32]);
 * const found = operand(x_ND);
 * assertEquals([Object.keys(params), "words" in found && found.words.shape], [["in"], [1, 72]]); // 64 of codes, 8 scales
 * assertEquals(groupedMatmul(x_ND, found, tensor(backend, Int32Array.of(0, 2), [2])).shape, [2, 8]);
 * ```
 */
export function bankMatrices(
  name: string,
  shape: readonly [E: number, K: number, M: number],
  make: () => Parameter,
  { precision = "full", weights }: MatrixOptions,
  init: Init,
): BankMatrices {
  if (precision === "half" && weights !== "f32") {
    throw new RangeError(
      `Cannot run experts in half precision with weights kept as ${weights}; choose precision "full" or weights "f32"`,
    );
  }
  const kept = weights === "f32" ? null : init.quantised?.(name, shape, weights) ?? null;
  if (kept) {
    return {
      params: {},
      operand: (beside) => ({ ...kept, words: seenFrom(beside, kept.words) }),
      free: () => releaseHeld([kept.words]),
    };
  }
  const param = make();
  const copy = operandsIn(precision);
  return {
    params: { [name]: param },
    operand: (beside) => weights === "f32" ? copy(param, beside) : quantise(seenFrom(beside, param), weights),
    free: () => {},
  };
}

/**
 * Bytes of matrices [E, K, M] as products read them.
 * @example
 * ```ts
 * import { matrixBytes } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals([matrixBytes("f32", 1, 64, 8), matrixBytes("int8", 1, 64, 8)], [2048, 512 + 64]);
 * ```
 */
export function matrixBytes(weights: WeightsKept, E: number, K: number, M: number): number {
  return weights === "f32" ? 4 * E * K * M : packedBytesOf(weights, E, K, M);
}
