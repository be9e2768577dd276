// Weights in fewer bits as tensors of a safetensors file, under the names and in the layouts of published models: MXFP4 as
// GPT-OSS has it, FP8 as DeepSeek-V3 has it. Outputs are rows, as they are in `quantise`'s words.
import { BLOCK, type WeightFormat, weightFormats } from "../kernels/parts/weight_formats.ts";
import { packedLayout } from "../kernels/parts/packed_weights.ts";
import type { SafetensorsDtype } from "./number_formats.ts";

/** Sizes of matrices: how many, inputs, outputs. */
type Shape = readonly [E: number, K: number, M: number];

/** One of the tensors that matrices are kept as. */
export interface PackedTensor {
  /** Its name. */
  readonly name: string;
  /** Kind of its numbers. */
  readonly dtype: SafetensorsDtype;
  /** Its dimensions. */
  readonly shape: readonly number[];
}

/** Codes and scales of a format: what their names end with, their kinds. Bytes of 4-bit codes are U8, two codes each. */
const tensorsOf: Readonly<
  Record<WeightFormat, readonly (readonly [ending: string, dtype: SafetensorsDtype])[]>
> = {
  f16: [["", "F16"]],
  bf16: [["", "BF16"]],
  int8: [["", "I8"], ["_scales", "F32"]],
  int4: [["_blocks", "U8"], ["_scales", "F32"]],
  fp8: [["", "F8_E4M3"], ["_scale_inv", "F32"]],
  mxfp4: [["_blocks", "U8"], ["_scales", "U8"]],
};

/** The tensors that matrices named `name` are kept as: codes, then scales where the format has them. */
export function packedTensors(name: string, format: WeightFormat, [E, K, M]: Shape): PackedTensor[] {
  const { scaleRows, scaleColumns } = packedLayout(format, K, M);
  const shapes = [
    weightFormats[format].bits === 4 ? [E, M, Math.ceil(K / BLOCK), BLOCK / 2] : [E, M, K],
    [E, scaleRows, scaleColumns],
  ];
  return tensorsOf[format].map(([ending, dtype], at) => ({ name: name + ending, dtype, shape: shapes[at] }));
}

/** Where each row of codes, and all scales, of a matrix lie among its words and among the tensors' bytes. */
function* pieces(format: WeightFormat, [E, K, M]: Shape) {
  const { rowWords, scalesAt, scaleRows, scaleColumns, words } = packedLayout(format, K, M);
  const { bits, scaleBits } = weightFormats[format];
  const rowBytes = bits === 4 ? 4 * rowWords : K * bits / 8;
  const scaleBytes = scaleRows * scaleColumns * scaleBits / 8;
  for (let e = 0; e < E; e++) {
    for (let j = 0; j < M; j++) {
      const word = e * words + j * rowWords;
      yield { tensor: 0, inWords: 4 * word, inTensor: (e * M + j) * rowBytes, bytes: rowBytes };
    }
    if (scaleBytes > 0) {
      yield { tensor: 1, inWords: 4 * (e * words + scalesAt), inTensor: e * scaleBytes, bytes: scaleBytes };
    }
  }
}

/** Bytes of each of the tensors, from the words of `quantise`. */
export function bytesOfWords(
  format: WeightFormat,
  shape: Shape,
  words: Int32Array,
): Uint8Array<ArrayBuffer>[] {
  const from = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  const tensors = sizesOf(format, shape).map((size) => new Uint8Array(size));
  for (const { tensor, inWords, inTensor, bytes } of pieces(format, shape)) {
    tensors[tensor].set(from.subarray(inWords, inWords + bytes), inTensor);
  }
  return tensors;
}

/**
 * Words of `quantise` from the tensors' bytes. What fills up rows is 0, also where `quantise` writes the code of 0: no product
 * reads it.
 */
export function wordsOfBytes(
  format: WeightFormat,
  shape: Shape,
  tensors: readonly Uint8Array[],
): Int32Array<ArrayBuffer> {
  const [E, K, M] = shape;
  const words = new Int32Array(E * packedLayout(format, K, M).words);
  const into = new Uint8Array(words.buffer);
  for (const { tensor, inWords, inTensor, bytes } of pieces(format, shape)) {
    into.set(tensors[tensor].subarray(inTensor, inTensor + bytes), inWords);
  }
  return words;
}

function sizesOf(format: WeightFormat, shape: Shape): number[] {
  const sizes: number[] = [];
  for (const { tensor, bytes } of pieces(format, shape)) sizes[tensor] = (sizes[tensor] ?? 0) + bytes;
  return tensorsOf[format].map((_, at) => sizes[at] ?? 0);
}
