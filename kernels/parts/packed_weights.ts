// Where codes and scales of packed matrices lie, and packing and unpacking in plain loops. A bank [E, K, M] is kept as i32
// [E, words]: for each expert its M outputs as rows of K codes, the layout in which published models and ONNX keep them, then
// its scales. Rows are filled up to whole blocks of 32 codes.
import { bitsOf, BLOCK, floatOf, type WeightFormat, weightFormats } from "./weight_formats.ts";

/** Blocks whose largest size is below this become zeros: 32-bit floats run out of exponents there. */
const LEAST = 2 ** -100;

/** Where codes and scales of a matrix [K, M] lie, in words of 32 bits. */
export interface PackedLayout {
  /** Words of a row: an output's codes. */
  readonly rowWords: number;
  /** Where scales begin. */
  readonly scalesAt: number;
  /** Scales one after another: for each group of outputs those of its groups of inputs. */
  readonly scaleColumns: number;
  readonly scaleRows: number;
  /** Words of all. */
  readonly words: number;
}

/** The layout of a matrix [K, M]. */
export function packedLayout(format: WeightFormat, K: number, M: number): PackedLayout {
  const { bits, block, scaleBits } = weightFormats[format];
  const rowWords = Math.ceil(K / BLOCK) * bits; // 32 codes of so many bits
  const scaleRows = block ? Math.ceil(M / block[0]) : 0, scaleColumns = block ? Math.ceil(K / block[1]) : 0;
  const scalesAt = rowWords * M;
  return {
    rowWords,
    scalesAt,
    scaleRows,
    scaleColumns,
    words: scalesAt + Math.ceil(scaleRows * scaleColumns * scaleBits / 32),
  };
}

/** Bytes of a bank of E matrices [K, M]. */
export function packedBytesOf(format: WeightFormat, E: number, K: number, M: number): number {
  return 4 * E * packedLayout(format, K, M).words;
}

/** Codes and scales in the words of one matrix, for the plain loops of references. */
interface Packed {
  code(output: number, input: number): number;
  scale(output: number, input: number): number;
  setCode(output: number, input: number, code: number): void;
  setScale(output: number, input: number, scale: number): void;
}

function packed(format: WeightFormat, layout: PackedLayout, words: Int32Array): Packed {
  const { bits, block, scaleBits } = weightFormats[format];
  const place = (output: number, input: number) =>
    [output * layout.rowWords + Math.floor(input * bits / 32), input * bits % 32] as const;
  const scaleIndex = (output: number, input: number) =>
    Math.floor(output / block![0]) * layout.scaleColumns + Math.floor(input / block![1]);
  return {
    code(output, input) {
      const [word, shift] = place(output, input);
      return words[word] >>> shift & 2 ** bits - 1;
    },
    setCode(output, input, code) {
      const [word, shift] = place(output, input);
      words[word] |= code << shift;
    },
    scale(output, input) {
      if (scaleBits === 0) return 1;
      const index = scaleIndex(output, input);
      if (scaleBits === 32) return floatOf(words[layout.scalesAt + index]);
      const code = words[layout.scalesAt + (index >> 2)] >>> 8 * (index & 3) & 255;
      return code === 255 ? NaN : 2 ** (code - 127);
    },
    setScale(output, input, scale) {
      if (scaleBits === 0) return;
      const index = scaleIndex(output, input);
      if (scaleBits === 32) words[layout.scalesAt + index] = bitsOf(scale);
      else {
        const code = Number.isNaN(scale) ? 255 : scale === 0 ? 0 : Math.log2(scale) + 127;
        words[layout.scalesAt + (index >> 2)] |= code << 8 * (index & 3);
      }
    },
  };
}

/** Matrices [E, K, M] in a format, in plain loops: the definition of `quantise`. */
export function packMatrices(
  format: WeightFormat,
  values: ArrayLike<number>,
  [E, K, M]: readonly [number, number, number],
): Int32Array<ArrayBuffer> {
  const { block, encode, scaleOf } = weightFormats[format];
  const layout = packedLayout(format, K, M);
  const all = new Int32Array(E * layout.words);
  const [high, wide] = block ?? [M, K];
  for (let e = 0; e < E; e++) {
    const at = packed(format, layout, all.subarray(e * layout.words, (e + 1) * layout.words));
    const value = (output: number, input: number) => input < K ? values[(e * K + input) * M + output] : 0;
    for (let first = 0; first < M; first += high) {
      for (let begin = 0; begin < K; begin += wide) {
        const [below, end] = [Math.min(M, first + high), Math.min(K, begin + wide)];
        let largest = 0;
        for (let j = first; block && j < below; j++) {
          for (let k = begin; k < end; k++) largest = Math.max(largest, Math.abs(value(j, k)));
        }
        const scale = !block ? 1 : largest < LEAST ? 0 : Number.isFinite(largest) ? scaleOf(largest) : NaN;
        at.setScale(first, begin, scale);
        for (let j = first; j < below; j++) {
          for (let k = begin; k < Math.ceil(end / BLOCK) * BLOCK; k++) {
            at.setCode(j, k, encode(block && !(scale > 0) ? 0 : value(j, k), scale > 0 ? scale : 1));
          }
        }
      }
    }
  }
  return all;
}

/** What packed matrices are worth, [E, K, M], in plain loops. */
export function unpackMatrices(
  format: WeightFormat,
  words: Int32Array,
  [E, K, M]: readonly [number, number, number],
): Float64Array<ArrayBuffer> {
  const layout = packedLayout(format, K, M);
  const values = new Float64Array(E * K * M);
  for (let e = 0; e < E; e++) {
    const at = packed(format, layout, words.subarray(e * layout.words, (e + 1) * layout.words));
    for (let k = 0; k < K; k++) {
      for (let j = 0; j < M; j++) {
        values[(e * K + k) * M + j] = weightFormats[format].decode(at.code(j, k)) * at.scale(j, k);
      }
    }
  }
  return values;
}
