// A unit is a block of 1024 elements, 512 words.
import { address, integer } from "../parts/arguments.as";
import { storeFirst } from "../parts/math.as";

/** Four numbers from bits of 16-bit floats in the low halves of lanes. */
// @ts-ignore: decorator
@inline
function numbers(bits: v128): v128 {
  // Times 2^112 the exponent counts from the zero of 32-bit floats, and subnormal numbers are normal.
  const scaled = f32x4.mul(i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13), i32x4.splat(0x77800000));
  const size = v128.or(scaled, v128.and(f32x4.ge(scaled, f32x4.splat(65536)), i32x4.splat(0x7f800000)));
  return v128.or(size, i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16));
}

export function unpackHalf(from: i32, to: i32, list: usize): void {
  const start = from << 10, count = min(to << 10, integer(list, 2)) - start;
  let x = address(list, 0) + (<usize>start << 1), y = address(list, 1) + (<usize>start << 2);
  const end = y + (<usize>(count & ~3) << 2);
  while (y < end) {
    v128.store(y, numbers(v128.load16x4_u(x)));
    x += 8;
    y += 16;
  }
  const rest = count & 3;
  if (!rest) return;
  const words: v128 = rest > 2 ? v128.load64_zero(x) : v128.load32_zero(x);
  storeFirst(y, numbers(i32x4.extend_low_i16x8_u(words)), rest);
}
