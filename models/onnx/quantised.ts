// Matrices of experts in fewer bits, as onnxruntime's com.microsoft.QMoE takes them: outputs as rows of unsigned codes around the
// middle, and a 32-bit scale for every 32 inputs, which is how int4 and int8 are kept here.
import { bytesOfWords } from "../../formats/packed_tensors.ts";
import { BLOCK } from "../../kernels/parts/weight_formats.ts";
import { packMatrices } from "../../kernels/parts/packed_weights.ts";
import type { Attributes, Name } from "./graph.ts";
import type { Lowering, Stored } from "./lowering.ts";

/** Formats that the operator takes. */
export type OperatorFormat = "int4" | "int8";

/** Why matrices in fewer bits are not exported otherwise. */
export const ONLY_FUSED =
  'its experts\' weights are kept in fewer bits; target "fused" writes int4 and int8 as QMoE, and nothing else does';

/** True for a format that the operator takes. */
export function isOperatorFormat(format: unknown): format is OperatorFormat {
  return format === "int4" || format === "int8";
}

/** What tells the operator how matrices are kept. */
export function quantisedAttributes(format: OperatorFormat): Attributes {
  return { expert_weight_bits: { int: format === "int4" ? 4 : 8 }, block_size: { int: BLOCK } };
}

/** onnxruntime 1.30 takes a single scale for each output of the first matrix to mean one for each of the second too. */
export function checkBlocks(D: number, F: number, on: Lowering): void {
  if (D !== BLOCK || F <= BLOCK) return;
  on.refuse(
    `its experts read rows of ${D} numbers, a single block, and have ${F} hidden units; onnxruntime's QMoE then takes ` +
      "one scale for an output of both matrices; choose a width of 64 or more",
  );
}

/** Codes and scales of matrices [E, K, M]. */
export function codesAndScales(
  { name, shape, read }: Stored,
  format: OperatorFormat,
  on: Lowering,
): [codes: Name, scales: Name] {
  const [E, K, M] = shape;
  if (K % BLOCK !== 0) {
    on.refuse(`its experts read rows of ${K} numbers in ${format}; QMoE takes multiples of ${BLOCK}`);
  }
  const make = async () => {
    const words = packMatrices(format, await read(), [E, K, M]);
    const [codes, scales] = bytesOfWords(format, [E, K, M], words);
    // From -127 .. 127 to codes around 128; codes of 4 bits are around 8 already.
    if (format === "int8") codes.forEach((code, at) => codes[at] = code ^ 128);
    return { codes, scales };
  };
  const codes = E * M * K * (format === "int4" ? 4 : 8) / 8;
  const scales = E * M * K / BLOCK;
  const perByte = format === "int4" ? 2 : 1;
  return [
    on.graph.weight(`${name}.${format}`, [E, M, K / perByte], {
      length: codes,
      make: async () => (await make()).codes,
    }, "U8"),
    on.graph.weight(`${name}.${format}-scales`, [E, M, K / BLOCK], {
      length: 4 * scales,
      make: async () => (await make()).scales,
    }),
  ];
}
