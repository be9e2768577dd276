// A unit is a block of 1024 elements.
import { slopeAt4 } from "../parts/activation.as";
import { address, integer } from "../parts/arguments.as";
import { exp4, loadFirst, storeFirst } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function derivative(op: i32, x: v128): v128 {
  const one = f32x4.splat(1);
  if (op < 3) return slopeAt4(op, x);
  if (op == 3) return exp4(x);
  if (op == 4) return f32x4.div(one, x);
  if (op == 5) return f32x4.splat(-1);
  if (op == 6) return f32x4.add(x, x);
  if (op == 7) return f32x4.div(f32x4.splat(0.5), f32x4.sqrt(x));
  if (op == 8) {
    const e = exp4(f32x4.neg(f32x4.abs(x))), large = f32x4.div(one, f32x4.add(one, e));
    return f32x4.mul(f32x4.mul(e, large), large);
  }
  if (op == 9) {
    // 1 / cosh^2 x = 4 e / (1 + e)^2 with e = exp(-2 |x|).
    const e = exp4(f32x4.mul(f32x4.abs(x), f32x4.splat(-2))), half = f32x4.div(f32x4.splat(2), f32x4.add(one, e));
    return f32x4.mul(f32x4.mul(e, half), half);
  }
  return f32x4.div(f32x4.splat(-1), f32x4.mul(x, x));
}

// @ts-ignore: decorator
@inline
function each(op: i32, x: usize, g: usize, dx: usize, count: i32): void {
  const end = x + (<usize>(count & ~3) << 2);
  while (x < end) {
    v128.store(dx, f32x4.mul(v128.load(g), derivative(op, v128.load(x))));
    x += 16;
    g += 16;
    dx += 16;
  }
  const rest = count & 3;
  if (rest) {
    const one = f32x4.splat(1);
    storeFirst(dx, f32x4.mul(loadFirst(g, rest, one), derivative(op, loadFirst(x, rest, one))), rest);
  }
}

export function unaryGradient(from: i32, to: i32, list: usize): void {
  const start = from << 10;
  const offset = <usize>start << 2;
  const x = address(list, 0) + offset, g = address(list, 1) + offset, dx = address(list, 2) + offset;
  const count = min(to << 10, integer(list, 3)) - start;
  switch (integer(list, 4)) {
    case 0: each(0, x, g, dx, count); break;
    case 1: each(1, x, g, dx, count); break;
    case 2: each(2, x, g, dx, count); break;
    case 3: each(3, x, g, dx, count); break;
    case 4: each(4, x, g, dx, count); break;
    case 5: each(5, x, g, dx, count); break;
    case 6: each(6, x, g, dx, count); break;
    case 7: each(7, x, g, dx, count); break;
    case 8: each(8, x, g, dx, count); break;
    case 9: each(9, x, g, dx, count); break;
    default: each(10, x, g, dx, count);
  }
}
