// A unit is a block of 1024 elements.
import { activate4 } from "../parts/activation.as";
import { address, integer } from "../parts/arguments.as";
import { exp4, loadFirst, log4, sigmoid4, storeFirst, tanh4 } from "../parts/math.as";

// @ts-ignore: decorator
@inline
function apply(op: i32, x: v128): v128 {
  if (op < 3) return activate4(op, x);
  if (op == 3) return exp4(x);
  if (op == 4) return log4(x);
  if (op == 5) return f32x4.neg(x);
  if (op == 6) return f32x4.mul(x, x);
  if (op == 7) return f32x4.sqrt(x);
  if (op == 8) return sigmoid4(x);
  if (op == 9) return tanh4(x);
  return f32x4.div(f32x4.splat(1), x);
}

// @ts-ignore: decorator
@inline
function each(op: i32, x: usize, y: usize, count: i32): void {
  const end = x + (<usize>(count & ~3) << 2);
  while (x < end) {
    v128.store(y, apply(op, v128.load(x)));
    x += 16;
    y += 16;
  }
  const rest = count & 3;
  if (rest) storeFirst(y, apply(op, loadFirst(x, rest, f32x4.splat(1))), rest);
}

export function unary(from: i32, to: i32, list: usize): void {
  const start = from << 10;
  const x = address(list, 0) + (<usize>start << 2), y = address(list, 1) + (<usize>start << 2);
  const count = min(to << 10, integer(list, 2)) - start;
  switch (integer(list, 3)) {
    case 0: each(0, x, y, count); break;
    case 1: each(1, x, y, count); break;
    case 2: each(2, x, y, count); break;
    case 3: each(3, x, y, count); break;
    case 4: each(4, x, y, count); break;
    case 5: each(5, x, y, count); break;
    case 6: each(6, x, y, count); break;
    case 7: each(7, x, y, count); break;
    case 8: each(8, x, y, count); break;
    case 9: each(9, x, y, count); break;
    default: each(10, x, y, count);
  }
}
