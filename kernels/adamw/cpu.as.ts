// A unit is a block of 1024 elements of one array; the blocks of all arrays are counted one after the other.
import { address, float, integer } from "../parts/arguments.as";
import { multiplyAdd } from "../parts/gemm.as";
import { loadFirst, storeFirst } from "../parts/math.as";

// Words of the list: the number of arrays, the size of each, addresses (factor; p, g, m and v of each; then p', m' and
// v' of each), constants, and each array's decay.
const SIZES: i32 = 1;

// @ts-ignore: decorator
@inline
function blocksOf(size: i32): i32 {
  return (size + 1023) >> 10;
}

export function adamw(from: i32, to: i32, list: usize): void {
  const arrays = integer(list, 0);
  let array = 0, first = 0;
  for (let unit = from; unit < to;) {
    const size = integer(list, SIZES + array), blocks = blocksOf(size);
    if (unit >= first + blocks) {
      first += blocks;
      array++;
      continue;
    }
    const end = min(to, first + blocks);
    step(list, arrays, array, (unit - first) << 10, min((end - first) << 10, size));
    unit = end;
  }
}

/** Elements `start` to `end` of one array. */
function step(list: usize, arrays: i32, array: i32, start: i32, end: i32): void {
  const given = SIZES + arrays, own = given + 1 + 4 * array, made = given + 1 + 4 * arrays + 3 * array;
  const constants = given + 1 + 7 * arrays;
  const offset = <usize>start << 2;
  let p = address(list, own) + offset, g = address(list, own + 1) + offset;
  let m = address(list, own + 2) + offset, v = address(list, own + 3) + offset;
  let p1 = address(list, made) + offset, m1 = address(list, made + 1) + offset, v1 = address(list, made + 2) + offset;
  const scale = v128.load_splat<f32>(address(list, given));
  const beta1 = f32x4.splat(float(list, constants)), rest1 = f32x4.splat(float(list, constants + 1));
  const beta2 = f32x4.splat(float(list, constants + 2)), rest2 = f32x4.splat(float(list, constants + 3));
  const rate = f32x4.splat(float(list, constants + 4)), root = f32x4.splat(float(list, constants + 5));
  const epsilon = f32x4.splat(float(list, constants + 6));
  const decay = f32x4.splat(float(list, constants + 7 + array));
  let left = end - start;
  for (; left > 0; left -= 4) {
    const whole = left >= 4;
    const weight = whole ? v128.load(p) : loadFirst(p, left, scale);
    const gradient = f32x4.mul(whole ? v128.load(g) : loadFirst(g, left, scale), scale);
    const oldMean = whole ? v128.load(m) : loadFirst(m, left, scale);
    const oldSquare = whole ? v128.load(v) : loadFirst(v, left, scale);
    const mean = multiplyAdd(beta1, oldMean, f32x4.mul(rest1, gradient));
    const square = multiplyAdd(beta2, oldSquare, f32x4.mul(f32x4.mul(rest2, gradient), gradient));
    const below = multiplyAdd(f32x4.sqrt(square), root, epsilon);
    const change = multiplyAdd(decay, weight, f32x4.div(f32x4.mul(rate, mean), below));
    const next = f32x4.sub(weight, change);
    if (whole) {
      v128.store(p1, next);
      v128.store(m1, mean);
      v128.store(v1, square);
    } else {
      storeFirst(p1, next, left);
      storeFirst(m1, mean, left);
      storeFirst(v1, square, left);
    }
    p += 16;
    g += 16;
    m += 16;
    v += 16;
    p1 += 16;
    m1 += 16;
    v1 += 16;
  }
}
