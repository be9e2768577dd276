// A unit is a block of 1024 elements where b has a's shape or is a scalar, and a row otherwise.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function apply(op: i32, a: v128, b: v128): v128 {
  if (op == 0) return f32x4.add(a, b);
  if (op == 1) return f32x4.sub(a, b);
  if (op == 2) return f32x4.mul(a, b);
  if (op == 3) return f32x4.div(a, b);
  if (op == 4) return f32x4.max(a, b);
  if (op == 5) return f32x4.min(a, b);
  return v128.and(f32x4.gt(a, b), f32x4.splat(1));
}

// @ts-ignore: decorator
@inline
function withArray(op: i32, a: usize, b: usize, c: usize, count: i32): void {
  const end = a + (<usize>(count & ~3) << 2);
  while (a < end) {
    v128.store(c, apply(op, v128.load(a), v128.load(b)));
    a += 16;
    b += 16;
    c += 16;
  }
  const rest = count & 3, one = f32x4.splat(1);
  if (rest) storeFirst(c, apply(op, loadFirst(a, rest, one), loadFirst(b, rest, one)), rest);
}

// @ts-ignore: decorator
@inline
function withNumber(op: i32, a: usize, b: usize, c: usize, count: i32): void {
  const value = v128.load_splat<f32>(b);
  const end = a + (<usize>(count & ~3) << 2);
  while (a < end) {
    v128.store(c, apply(op, v128.load(a), value));
    a += 16;
    c += 16;
  }
  const rest = count & 3;
  if (rest) storeFirst(c, apply(op, loadFirst(a, rest, value), value), rest);
}

// @ts-ignore: decorator
@inline
function each(op: i32, from: i32, to: i32, list: usize): void {
  let a = address(list, 0), b = address(list, 1), c = address(list, 2);
  const size = integer(list, 3), mode = integer(list, 5), C = integer(list, 6);
  if (mode < 2) {
    const start = from << 10, count = min(to << 10, size) - start;
    const offset = <usize>start << 2;
    if (mode == 0) withArray(op, a + offset, b + offset, c + offset, count);
    else withNumber(op, a + offset, b, c + offset, count);
    return;
  }
  const stride = <usize>C << 2;
  a += <usize>from * stride;
  c += <usize>from * stride;
  if (mode == 3) b += <usize>from << 2;
  for (let row = from; row < to; row++) {
    if (mode == 2) {
      withArray(op, a, b, c, C);
    } else {
      withNumber(op, a, b, c, C);
      b += 4;
    }
    a += stride;
    c += stride;
  }
}

export function binary(from: i32, to: i32, list: usize): void {
  switch (integer(list, 4)) {
    case 0: each(0, from, to, list); break;
    case 1: each(1, from, to, list); break;
    case 2: each(2, from, to, list); break;
    case 3: each(3, from, to, list); break;
    case 4: each(4, from, to, list); break;
    case 5: each(5, from, to, list); break;
    default: each(6, from, to, list);
  }
}
