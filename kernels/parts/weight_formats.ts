// Weights in fewer bits: what a code of each format is worth and how a number becomes one. Every step of rounding is one that
// WebAssembly and WGSL do alike (powers of two, products, comparisons), so that both make the same codes.

/** A format that experts' weights can be kept in. */
export type WeightFormat = "f16" | "bf16" | "int8" | "int4" | "fp8" | "mxfp4";

/** What a format is. */
export interface WeightFormatInfo {
  /** One sentence. */
  readonly about: string;
  /** Bits of a code. */
  readonly bits: 4 | 8 | 16;
  /** Outputs and inputs that share a scale; null where there are no scales. */
  readonly block: readonly [outputs: number, inputs: number] | null;
  /** Bits of a scale: a 32-bit float, or the exponent of a power of two (E8M0). */
  readonly scaleBits: 0 | 8 | 32;
  /** The scale of a block from its largest size, which is finite and at least 2^-100. */
  scaleOf(largest: number): number;
  /** The code of a number; `scale` is 1 where there are no scales. */
  encode(value: number, scale: number): number;
  /** What a code is worth, in scales. */
  decode(code: number): number;
  /** The largest distance of a decoded number from the number, below the largest of the format. */
  bound(value: number, scale: number): number;
}

/** Inputs that share a scale where they are fewest; codes of a row are filled up to a multiple of it. */
export const BLOCK = 32;
const EPSILON = 2 ** -24;
const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** Every format, by name; a format's number is its place here. */
export const weightFormats: Readonly<Record<WeightFormat, WeightFormatInfo>> = {
  f16: {
    about: "16-bit floats (binary16); from 65,520 on infinite.",
    ...unscaled(16),
    encode: (value) => new Uint16Array(Float16Array.of(value).buffer)[0],
    decode: (code) => new Float16Array(Uint16Array.of(code).buffer)[0],
    bound: (value) => Math.max(2 ** -11 * Math.abs(value), 2 ** -25),
  },
  bf16: {
    about: "bfloat16: the upper half of a 32-bit float.",
    ...unscaled(16),
    encode(value) {
      const bits = bitsOf(value);
      if (Number.isNaN(value)) return 0x7fc0;
      return (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
    },
    decode: (code) => floatOf(code << 16),
    bound: (value) => Math.max(2 ** -8 * Math.abs(value), 2 ** -134),
  },
  int8: {
    about: "Whole numbers from -127 to 127; 32 inputs share a 32-bit scale, their largest size / 127.",
    ...integers(8),
    encode: (value, scale) => signed(value, scale, 127) & 255,
    decode: (code) => code << 24 >> 24,
  },
  int4: {
    about: "Whole numbers from -7 to 7, kept plus 8; 32 inputs share a 32-bit scale, their largest size / 7.",
    ...integers(4),
    encode: (value, scale) => signed(value, scale, 7) + 8,
    decode: (code) => code - 8,
  },
  fp8: {
    about:
      "8-bit floats (E4M3); 128 x 128 weights share a 32-bit scale, the least power of two that makes them fit.",
    bits: 8,
    block: [128, 128],
    scaleBits: 32,
    scaleOf: (largest) => 2 ** (exponentOf(largest) - (largest <= 1.75 * 2 ** exponentOf(largest) ? 8 : 7)),
    encode: (value, scale) => e4m3(value / scale),
    decode: (code) => {
      if ((code & 127) === 127) return NaN;
      const [exponent, fraction] = [code >> 3 & 15, code & 7];
      const size = exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10);
      return code & 128 ? -size : size;
    },
    bound: (value, scale) => Math.max(2 ** -4 * Math.abs(value), 2 ** -10 * scale),
  },
  mxfp4: {
    about:
      "4-bit floats (E2M1); 32 inputs share a power of two, as OCP Microscaling 1.0 has it and GPT-OSS uses it.",
    bits: 4,
    block: [1, 32],
    scaleBits: 8,
    scaleOf: (largest) => 2 ** (exponentOf(largest) - 2),
    encode(value, scale) {
      const size = Math.abs(value / scale);
      // Ties go to the even code.
      const passed = [
        size > 0.25,
        size >= 0.75,
        size > 1.25,
        size >= 1.75,
        size > 2.5,
        size >= 3.5,
        size > 5,
      ];
      return passed.filter(Boolean).length | (isNegative(value) ? 8 : 0);
    },
    decode: (code) => code & 8 ? -E2M1[code & 7] : E2M1[code],
    // Steps of 1/2, 1 and 2; sizes from 6 to 8 become 6.
    bound: (value, scale) => Math.max(scale, Math.abs(value)) / 4,
  },
};

/** Every format's name. */
export const weightFormatNames: readonly WeightFormat[] = Object.keys(weightFormats) as WeightFormat[];

function unscaled(bits: 16): Pick<WeightFormatInfo, "bits" | "block" | "scaleBits" | "scaleOf"> {
  return { bits, block: null, scaleBits: 0, scaleOf: () => 1 };
}

function integers(bits: 4 | 8): Pick<WeightFormatInfo, "bits" | "block" | "scaleBits" | "scaleOf" | "bound"> {
  const largest = 2 ** (bits - 1) - 1;
  return {
    bits,
    block: [1, BLOCK],
    scaleBits: 32,
    scaleOf: (size) => Math.fround(size * Math.fround(1 / largest)),
    // The scale, and each border between two whole numbers, are rounded to 32-bit floats.
    bound: (_, scale) => scale * (1 / 2 + 4 * largest * EPSILON),
  };
}

/** Whole scales nearest to a number, halves away from 0; a border is (n - 1/2) scales, rounded to a 32-bit float. */
function signed(value: number, scale: number, largest: number): number {
  if (!(scale > 0)) return 0;
  const size = Math.abs(value);
  let count = Math.floor(size / scale);
  if (Math.fround((count + 0.5) * scale) <= size) count++;
  return Math.sign(value) * Math.min(count, largest) + 0;
}

/** E4M3 of a number up to 448 in size, ties to even. */
function e4m3(value: number): number {
  const sign = isNegative(value) ? 128 : 0;
  const size = Math.abs(value);
  if (!(size >= 2 ** -6)) return sign | (size > 0 ? roundEven(size * 512) : 0);
  const bits = bitsOf(size);
  return sign | ((bits + 0x7ffff + (bits >>> 20 & 1)) >>> 20) - (120 << 3);
}

function roundEven(value: number): number {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + low % 2 : Math.round(value);
}

function exponentOf(value: number): number {
  return (bitsOf(value) >>> 23) - 127;
}

function isNegative(value: number): boolean {
  return value < 0 || Object.is(value, -0);
}

/** The bits of a 32-bit float. */
export function bitsOf(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0];
}

/** The 32-bit float of some bits. */
export function floatOf(bits: number): number {
  return new Float32Array(Int32Array.of(bits).buffer)[0];
}

/** @throws {RangeError} for a format that there is not. */
export function checkFormat(kernel: string, format: unknown): void {
  if (typeof format === "string" && Object.hasOwn(weightFormats, format)) return;
  throw new RangeError(
    `Cannot run ${kernel}: there is no format "${format}" of weights, there are ${
      weightFormatNames.join(", ")
    }`,
  );
}
