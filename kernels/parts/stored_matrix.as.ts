// A matrix that is kept in fewer bits (weight_formats.ts) as the B of a product: what a product packs of it is decoded as it
// is packed, eight codes at a time, so that there is never a whole copy of it in 32 bits.
import { integer, scratch } from "./arguments.as";
import { transpose4 } from "./transpose4.as";

/** Formats by their numbers. */
const F16 = 0, BF16 = 1, INT8 = 2, INT4 = 3, FP8 = 4;

// The matrix that is open, of the running thread.
let format: i32 = 0;
let codes: usize = 0;
let rowBytes: usize = 0;
let scales: usize = 0;
let scaleColumns: i32 = 0;
let transposed: bool = false;

/** Opens the matrix that begins at `matrix`: B itself has outputs as its columns, transposed as its rows. */
export function openStored(matrix: usize, list: usize, transposeB: bool): void {
  format = integer(list, 21);
  codes = matrix;
  rowBytes = <usize>integer(list, 22);
  scales = matrix + <usize>integer(list, 23);
  scaleColumns = integer(list, 25);
  transposed = transposeB;
}

/** The scale of an exponent's code (E8M0): 255 is none, 0 is 2^-127. */
// @ts-ignore: decorator
@inline
function e8m0(code: i32): f32 {
  return reinterpret<f32>(code == 255 ? 0x7fc00000 : code == 0 ? 0x00400000 : code << 23);
}

// @ts-ignore: decorator
@inline
function scaleAt(row: i32, column: i32): f32 {
  if (format == FP8) return load<f32>(scales + (<usize>((row >> 7) * scaleColumns + (column >> 7)) << 2));
  const at = <usize>(row * scaleColumns + (column >> 5));
  return format <= INT4 ? load<f32>(scales + (at << 2)) : e8m0(load<u8>(scales + at));
}

// @ts-ignore: decorator
@inline
function put(to: usize, low: v128, high: v128): void {
  v128.store(to, low);
  v128.store(to, high, 16);
}

/** Floats of 16 bits in the lower halves of four words. */
// @ts-ignore: decorator
@inline
function halves(words: v128): v128 {
  const size = i32x4.shl(v128.and(words, i32x4.splat(0x7fff)), 13);
  const special = i32x4.gt_s(size, i32x4.splat(0x0f7fffff));
  const value = f32x4.mul(size, f32x4.splat(reinterpret<f32>(0x77800000))); // 2^112
  const found = v128.bitselect(v128.or(size, i32x4.splat(0x7f800000)), value, special);
  return v128.or(found, i32x4.shl(v128.and(words, i32x4.splat(0x8000)), 16));
}

/** E4M3 in the lowest bytes of four words, times a scale. */
// @ts-ignore: decorator
@inline
function eighths(words: v128, scale: f32): v128 {
  const size = v128.and(words, i32x4.splat(0x7f));
  const none = v128.and(i32x4.eq(size, i32x4.splat(0x7f)), i32x4.splat(0x7fc00000));
  const value = f32x4.mul(i32x4.shl(size, 20), f32x4.splat(reinterpret<f32>(0x7b800000))); // 2^120
  const sign = i32x4.shl(v128.and(words, i32x4.splat(0x80)), 24);
  return f32x4.mul(v128.or(v128.or(value, none), sign), f32x4.splat(scale));
}

/** Eight bytes of a vector, signed, as floats times a scale. */
// @ts-ignore: decorator
@inline
function putBytes(to: usize, bytes: v128, scale: f32): void {
  const wide = i16x8.extend_low_i8x16_s(bytes), by = f32x4.splat(scale);
  put(
    to,
    f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(wide)), by),
    f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(wide)), by),
  );
}

/** The eight nibbles of a word as bytes, the lower ones first. */
// @ts-ignore: decorator
@inline
function nibbles(from: usize): v128 {
  const word = v128.load32_zero(from), low = i8x16.splat(15);
  const even = v128.and(word, low), odd = v128.and(i16x8.shr_u(word, 4), low);
  return v128.shuffle<i8>(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** Codes `column` to `column + 7` of a row, `column` being a multiple of 8, as floats. */
function decode8(row: i32, column: i32, to: usize): void {
  const from = codes + <usize>row * rowBytes;
  if (format <= BF16) {
    const words = v128.load(from + (<usize>column << 1));
    const low = i32x4.extend_low_i16x8_u(words), high = i32x4.extend_high_i16x8_u(words);
    if (format == F16) put(to, halves(low), halves(high));
    else put(to, i32x4.shl(low, 16), i32x4.shl(high, 16));
    return;
  }
  const scale = scaleAt(row, column);
  if (format == INT8) {
    putBytes(to, v128.load64_zero(from + <usize>column), scale);
  } else if (format == INT4) {
    putBytes(to, i8x16.sub(nibbles(from + (<usize>column >> 1)), i8x16.splat(8)), scale);
  } else if (format == FP8) {
    const words = v128.load8x8_u(from + <usize>column);
    put(to, eighths(i32x4.extend_low_i16x8_u(words), scale), eighths(i32x4.extend_high_i16x8_u(words), scale));
  } else {
    // Twice what a code is worth.
    const worth = i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    putBytes(to, i8x16.swizzle(worth, nibbles(from + (<usize>column >> 1))), 0.5 * scale);
  }
}

/** Packs B[k0.., j0..] of `kc` rows and `nc` columns as `packB` does; `k0` and `j0` are multiples of 8. */
export function packStored(k0: i32, j0: i32, kc: i32, nc: i32, to: usize): void {
  const panel = <usize>kc << 5;
  for (let j = 0; j < nc; j += 8, to += panel) {
    if (transposed) {
      for (let k = 0; k < kc; k++) decode8(k0 + k, j0 + j, to + (<usize>k << 5));
    } else {
      packPanel(k0, j0 + j, kc, min(8, nc - j), to);
    }
  }
}

/** A panel whose columns are rows of codes: 8 x 8 of them are decoded and then transposed. */
function packPanel(k0: i32, j0: i32, kc: i32, real: i32, to: usize): void {
  const square = scratch; // The room for a tile at C's edge, which nothing holds while B is packed.
  if (real < 8) memory.fill(square, 0, 256);
  for (let k = 0; k < kc; k += 8, to += 256) {
    for (let j = 0; j < real; j++) decode8(j0 + j, k0 + k, square + (<usize>j << 5));
    if (k + 8 <= kc) {
      transpose4(square, 32, to, 32);
      transpose4(square + 128, 32, to + 16, 32);
      transpose4(square + 16, 32, to + 128, 32);
      transpose4(square + 144, 32, to + 144, 32);
      continue;
    }
    for (let rest: usize = 0; rest < <usize>(kc - k); rest++) {
      for (let j: usize = 0; j < 8; j++) store<f32>(to + (rest << 5) + (j << 2), load<f32>(square + (j << 5) + (rest << 2)));
    }
  }
}
