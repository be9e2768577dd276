// A unit is a block of 1024 elements, 512 words. Rounding is on bits (Giesen, float_to_half_fast3_rtne), four at a time.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

/** Bits of four numbers as 16-bit floats. */
// @ts-ignore: decorator
@inline
function halfBits(x: v128): v128 {
  const size = v128.and(x, i32x4.splat(0x7fffffff));
  // From 2^-14 on 13 bits of the fraction go and the exponent counts from another zero.
  const odd = v128.and(i32x4.shr_u(size, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(size, i32x4.splat(0xfff - 0x38000000)), odd), 13);
  // Below, adding 0.5 leaves the number in units of 2^-24, rounded, in the last bits.
  const low = i32x4.sub(f32x4.add(size, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  let half = v128.bitselect(low, normal, i32x4.lt_s(size, i32x4.splat(0x38800000)));
  half = v128.bitselect(i32x4.splat(0x7c00), half, i32x4.ge_s(size, i32x4.splat(0x47800000)));
  half = v128.bitselect(i32x4.splat(0x7e00), half, i32x4.gt_s(size, i32x4.splat(0x7f800000)));
  return v128.or(half, v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000)));
}

// @ts-ignore: decorator
@inline
function pack(a: v128, b: v128): v128 {
  return i16x8.narrow_i32x4_u(halfBits(a), halfBits(b));
}

/** Up to four numbers, then zeros. */
// @ts-ignore: decorator
@inline
function atMostFour(at: usize, count: i32): v128 {
  if (count >= 4) return v128.load(at);
  return count > 0 ? loadFirst(at, count, f32x4.splat(0)) : f32x4.splat(0);
}

export function packHalf(from: i32, to: i32, list: usize): void {
  const start = from << 10, count = min(to << 10, integer(list, 2)) - start;
  let x = address(list, 0) + (<usize>start << 2), y = address(list, 1) + (<usize>start << 1);
  const end = x + (<usize>(count & ~7) << 2);
  while (x < end) {
    v128.store(y, pack(v128.load(x), v128.load(x, 16)));
    x += 32;
    y += 16;
  }
  const rest = count & 7;
  if (!rest) return;
  const words = pack(atMostFour(x, rest), atMostFour(x + 16, rest - 4));
  if (rest == 7) v128.store(y, words);
  else storeFirst(y, words, (rest + 1) >> 1);
}
