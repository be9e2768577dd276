// A unit is a block of 1024 elements. A float mask is compared as floats: -0 is 0.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function isZero(mask: v128, floats: bool): v128 {
  const zero = i32x4.splat(0);
  return floats ? f32x4.eq(mask, zero) : i32x4.eq(mask, zero);
}

export function where(from: i32, to: i32, list: usize): void {
  const start = from << 10, count = min(to << 10, integer(list, 4)) - start;
  const offset = <usize>start << 2;
  let mask = address(list, 0) + offset, a = address(list, 1) + offset, b = address(list, 2) + offset;
  let c = address(list, 3) + offset;
  const floats = integer(list, 5) != 0;
  const end = mask + (<usize>(count & ~3) << 2);
  while (mask < end) {
    v128.store(c, v128.bitselect(v128.load(b), v128.load(a), isZero(v128.load(mask), floats)));
    mask += 16;
    a += 16;
    b += 16;
    c += 16;
  }
  const rest = count & 3, zero = i32x4.splat(0);
  if (rest) {
    const first = loadFirst(a, rest, zero), second = loadFirst(b, rest, zero);
    storeFirst(c, v128.bitselect(second, first, isZero(loadFirst(mask, rest, zero), floats)), rest);
  }
}
