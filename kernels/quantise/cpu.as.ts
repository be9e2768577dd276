// A unit is 128 outputs of one matrix. Scales of 8 bits of 128 outputs fill whole words, so no two units write one.
import { address, integer } from "../parts/arguments.as";

const STRIPE: i32 = 128;
/** Formats by their numbers. */
const F16 = 0, BF16 = 1, INT8 = 2, INT4 = 3, FP8 = 4;
/** What a block's largest size must reach for it to have a scale: 2^-100. */
const LEAST: i32 = 27 << 23;
const INFINITE: i32 = 0x7f800000;

export function quantise(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), y = address(list, 1);
  const K = integer(list, 2), M = integer(list, 3), format = integer(list, 4), rowBytes = integer(list, 5);
  const scalesAt = integer(list, 6), matrixBytes = integer(list, 7), scaleColumns = integer(list, 8);
  const stripes = (M + STRIPE - 1) / STRIPE;
  const scaled = format > BF16, wide = format == FP8 ? STRIPE : scaled ? 32 : K;
  for (let unit = from; unit < to; unit++) {
    const e = unit / stripes, first = unit % stripes * STRIPE, below = min(M, first + STRIPE);
    const values = x + ((<usize>e * <usize>K * <usize>M) << 2);
    const matrix = y + <usize>e * <usize>matrixBytes, scales = matrix + <usize>scalesAt;
    for (let begin = 0; begin < K; begin += wide) {
      const end = min(K, begin + wide);
      let scale: f32 = 1;
      if (format == FP8) {
        scale = scaleOf(format, largest(values, M, begin, end, first, below));
        store<f32>(scales + (<usize>(first / STRIPE * scaleColumns + begin / STRIPE) << 2), scale);
      }
      for (let j = first; j < below; j++) {
        if (scaled && format != FP8) {
          scale = scaleOf(format, largest(values, M, begin, end, j, j + 1));
          putScale(format, scales, j * scaleColumns + (begin >> 5), scale);
        }
        encodeRow(format, values + (<usize>j << 2), M, begin, end, scale, matrix + <usize>j * <usize>rowBytes);
      }
    }
    // Of scales of 8 bits, what the last word has to spare.
    if (format > FP8 && below == M) {
      for (let at = M * scaleColumns; at & 3; at++) store<u8>(scales + <usize>at, 0);
    }
  }
}

/** The bits of the largest size: those of infinity and of NaN are larger than all others. */
function largest(values: usize, M: i32, begin: i32, end: i32, first: i32, below: i32): i32 {
  let found = 0;
  for (let k = begin; k < end; k++) {
    const row = values + ((<usize>k * <usize>M) << 2);
    for (let j = first; j < below; j++) found = max(found, load<i32>(row + (<usize>j << 2)) & 0x7fffffff);
  }
  return found;
}

/** 0 for a block of zeros, NaN for one that is not finite. */
function scaleOf(format: i32, bits: i32): f32 {
  if (bits < LEAST) return 0;
  if (bits >= INFINITE) return NaN;
  if (format == INT8) return reinterpret<f32>(bits) * <f32>(1.0 / 127);
  if (format == INT4) return reinterpret<f32>(bits) * <f32>(1.0 / 7);
  // Powers of two: 448 is 1.75 times 2^8.
  const exponent = bits >> 23;
  if (format == FP8) return reinterpret<f32>((exponent - ((bits & 0x7fffff) <= 0x600000 ? 8 : 7)) << 23);
  return reinterpret<f32>((exponent - 2) << 23);
}

function putScale(format: i32, scales: usize, at: i32, scale: f32): void {
  if (format <= INT4) store<f32>(scales + (<usize>at << 2), scale);
  else store<u8>(scales + <usize>at, reinterpret<i32>(scale) == 0 ? 0 : reinterpret<u32>(scale) << 1 >> 24);
}

/** Codes `begin` to `end - 1` of a row, and zeros up to the end of its block of 32. */
function encodeRow(
  format: i32, values: usize, M: i32, begin: i32, end: i32, scale: f32, to: usize,
): void {
  const real = scale > 0 ? end : begin;
  const by: f32 = scale > 0 ? 1 / scale : 0;
  let low = 0;
  for (let k = begin; k < ((end + 31) & ~31); k++) {
    const bits = k < real ? load<i32>(values + ((<usize>k * <usize>M) << 2)) : 0;
    const value = reinterpret<f32>(bits);
    if (format == F16) {
      store<u16>(to + (<usize>k << 1), halfOf(bits));
    } else if (format == BF16) {
      store<u16>(to + (<usize>k << 1), upperHalf(bits));
    } else if (format == INT8) {
      store<u8>(to + <usize>k, signed(value, scale, 127));
    } else if (format == FP8) {
      store<u8>(to + <usize>k, e4m3(bits, abs(value) * by));
    } else {
      const code = format == INT4 ? signed(value, scale, 7) + 8 : e2m1(bits, abs(value) * by);
      if (k & 1) store<u8>(to + (<usize>k >> 1), low | code << 4);
      else low = code;
    }
  }
}

function halfOf(bits: i32): i32 {
  const size = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
  if (size > INFINITE) return 0x7e00;
  if (size >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14 a number is counted in units of 2^-24.
  if (size < 0x38800000) return sign | <i32>nearest(reinterpret<f32>(size) * 16777216);
  return sign | (size + 0xfff + (size >> 13 & 1) - 0x38000000) >> 13;
}

function upperHalf(bits: i32): i32 {
  return (bits & 0x7fffffff) > INFINITE ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >>> 16;
}

/** Whole scales nearest to a number; a border is (n - 1/2) scales, rounded. */
function signed(value: f32, scale: f32, most: i32): i32 {
  const size = abs(value);
  if (!(scale > 0)) return 0;
  let count = <i32>(size / scale);
  if ((<f32>count + 0.5) * scale <= size) count++;
  count = min(count, most);
  return value < 0 ? -count : count;
}

/** E4M3 of a size up to 448, ties to even. */
function e4m3(bits: i32, size: f32): i32 {
  const sign = bits >>> 24 & 0x80, own = reinterpret<i32>(size);
  if (size < 0.015625) return sign | <i32>nearest(size * 512);
  return sign | ((own + 0x7ffff + (own >> 20 & 1)) >> 20) - (120 << 3);
}

/** E2M1 of a size, ties to even, at most 6. */
function e2m1(bits: i32, size: f32): i32 {
  return (bits >>> 28 & 8) | <i32>(size > 0.25) + <i32>(size >= 0.75) + <i32>(size > 1.25) + <i32>(size >= 1.75) +
    <i32>(size > 2.5) + <i32>(size >= 3.5) + <i32>(size > 5);
}
