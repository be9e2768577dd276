// Vector mathematics shared by kernels: four floats at a time, each lane independent of the others, so that an element's
// result does not depend on where in an array it lies. Tails go through the same routines with `loadFirst`/`storeFirst`.
import { multiplyAdd } from "./gemm.as";

/** The first `count` (1 to 3) floats at `at`; lanes after them hold those of `rest`. */
// @ts-ignore: decorator
@inline
export function loadFirst(at: usize, count: i32, rest: v128): v128 {
  let v = v128.load_lane<f32>(at, rest, 0);
  if (count > 1) v = v128.load_lane<f32>(at, v, 1, 4);
  if (count > 2) v = v128.load_lane<f32>(at, v, 2, 8);
  return v;
}

/** Stores lanes 0 to `count` - 1 (`count` is 1 to 3). */
// @ts-ignore: decorator
@inline
export function storeFirst(at: usize, v: v128, count: i32): void {
  v128.store_lane<f32>(at, v, 0);
  if (count > 1) v128.store_lane<f32>(at, v, 1, 4);
  if (count > 2) v128.store_lane<f32>(at, v, 2, 8);
}

// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f32 {
  return (f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1)) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** Largest lane; a NaN lane may be passed over. */
// @ts-ignore: decorator
@inline
export function largestLane(v: v128): f32 {
  const pairs = f32x4.pmax(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmax(pairs, v128.shuffle<f32>(pairs, pairs, 1, 0, 3, 2)), 0);
}

// Constants lie in memory: engines load one in one instruction, but build it anew in three at every use otherwise.
const EXP: usize = memory.data<f32>([
  89, -104.5, 1.44269504, 12583166, -0.693359375, 2.12194440e-4, 1,
  5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4,
]);
const LOG: usize = memory.data<f32>([
  1.17549435e-38, 8388608, 23, -2.12194440e-4, -0.5, 0.693359375,
  3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1, -1.2420140846e-1,
  1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2,
]);
const LOG_BITS: usize = memory.data<i32>([0x3F3504F3, 0x007FFFFF]);
const TANH: usize = memory.data<f32>([
  2, 0.625, -3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3,
]);
const NORMAL: usize = memory.data<f32>([
  -0.5, 0.27,
  0.10772100334, 0.107537279213, 0.101848505256, 0.0719085705315, 0.108141929162, -0.0696496764083,
  0.170155183934, -0.126658182882, 0.0289953998375,
]);

const CIRCLE: usize = memory.data<f32>([
  6.2831853072, -0.5, 4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5, -1.6666654611e-1,
  8.3321608736e-3, -1.9515295891e-4,
]);

// @ts-ignore: decorator
@inline
function constant(table: usize, at: usize): v128 {
  return v128.load_splat<f32>(table + (at << 2));
}

// @ts-ignore: decorator
@inline
function one(): v128 {
  return constant(EXP, 6);
}

/** a + b x with both constants of `table`; polynomials are summed pairwise, so that chains of products stay short. */
// @ts-ignore: decorator
@inline
function pair(table: usize, a: usize, x: v128): v128 {
  return multiplyAdd(constant(table, a + 1), x, constant(table, a));
}

/**
 * e^x within 1 ulp for every x: 0 below -104, infinity above 88.73, NaN for NaN.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2; e^r by Cephes' polynomial; 2^n in two factors, so that results below 2^-126 come
 * out as subnormal numbers. n ln2High is exact (9 + 8 bits). The clamps are written so that NaN passes through.
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const bounded = f32x4.pmax(f32x4.pmin(x, constant(EXP, 0)), constant(EXP, 1));
  // Adding 1.5 x 2^23 + 254 rounds to a whole number and leaves n + 254, both factors' biases included, in the low bits.
  const shifted = multiplyAdd(bounded, constant(EXP, 2), constant(EXP, 3));
  const n = f32x4.sub(shifted, constant(EXP, 3));
  const r = multiplyAdd(n, constant(EXP, 5), multiplyAdd(n, constant(EXP, 4), bounded));
  const square = f32x4.mul(r, r);
  const tail = multiplyAdd(multiplyAdd(pair(EXP, 11, r), square, pair(EXP, 9, r)), square, pair(EXP, 7, r));
  const p = f32x4.add(multiplyAdd(tail, square, r), one());
  const half = i32x4.shr_u(shifted, 1);
  const factor = i32x4.shl(half, 23), other = i32x4.shl(i32x4.sub(shifted, half), 23);
  return f32x4.mul(f32x4.mul(p, factor), other);
}

/** Natural logarithm within 1 ulp: -infinity at 0, NaN below. Cephes' polynomial on [sqrt(1/2), sqrt 2]. */
// @ts-ignore: decorator
@inline
export function log4(x: v128): v128 {
  const tiny = f32x4.lt(x, constant(LOG, 0));
  const scaled = v128.bitselect(f32x4.mul(x, constant(LOG, 1)), x, tiny);
  // Taking off the bits of sqrt(1/2) makes the exponent field count whole powers around it.
  const rootBits = constant(LOG_BITS, 0);
  const bits = i32x4.sub(scaled, rootBits);
  const n = f32x4.sub(f32x4.convert_i32x4_s(i32x4.shr_s(bits, 23)), v128.and(tiny, constant(LOG, 2)));
  const m = f32x4.sub(i32x4.add(v128.and(bits, constant(LOG_BITS, 1)), rootBits), one());
  const square = f32x4.mul(m, m), fourth = f32x4.mul(square, square);
  const upper = multiplyAdd(multiplyAdd(constant(LOG, 14), square, pair(LOG, 12, m)), square, pair(LOG, 10, m));
  const lower = multiplyAdd(pair(LOG, 8, m), square, pair(LOG, 6, m));
  let p = f32x4.mul(f32x4.mul(multiplyAdd(upper, fourth, lower), m), square);
  p = multiplyAdd(n, constant(LOG, 3), p);
  p = multiplyAdd(square, constant(LOG, 4), p);
  const result = multiplyAdd(n, constant(LOG, 5), f32x4.add(m, p));
  const zero = f32x4.splat(0), infinity = f32x4.splat(Infinity);
  const ordinary = v128.and(f32x4.gt(x, zero), f32x4.lt(x, infinity));
  const pole = v128.bitselect(f32x4.neg(infinity), x, f32x4.eq(x, zero));
  return v128.bitselect(result, v128.or(pole, v128.and(f32x4.lt(x, zero), f32x4.splat(NaN))), ordinary);
}

/** Natural logarithm of one number, the same bits as a lane of `log4`. */
// @ts-ignore: decorator
@inline
export function log1(x: f32): f32 {
  return f32x4.extract_lane(log4(f32x4.splat(x)), 0);
}

/** 1 / (1 + e^-x), within 3 ulp in both tails because the exponential never overflows. */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  const large = f32x4.div(one(), f32x4.add(one(), e));
  return v128.bitselect(f32x4.mul(e, large), large, f32x4.lt(x, f32x4.splat(0)));
}

/** Hyperbolic tangent within 2 ulp: Cephes' odd polynomial below 0.625, where 1 - 2 / (e^2x + 1) would cancel. */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const size = f32x4.abs(x);
  const e = exp4(f32x4.add(size, size));
  const far = f32x4.sub(one(), f32x4.div(constant(TANH, 0), f32x4.add(e, one())));
  const signed = v128.bitselect(x, far, i32x4.splat(0x80000000));
  const square = f32x4.mul(x, x);
  const upper = multiplyAdd(constant(TANH, 6), square, constant(TANH, 5));
  const p = multiplyAdd(multiplyAdd(upper, square, constant(TANH, 4)), f32x4.mul(square, square), pair(TANH, 2, square));
  const near = multiplyAdd(f32x4.mul(p, square), x, x);
  return v128.bitselect(near, signed, f32x4.lt(size, constant(TANH, 1)));
}

/** e^(-x^2 / 2), the standard normal density without its factor 1 / sqrt(2 pi). */
// @ts-ignore: decorator
@inline
export function bell4(x: v128): v128 {
  return exp4(f32x4.mul(f32x4.mul(x, x), constant(NORMAL, 0)));
}

/**
 * The standard normal distribution function at x, given `bell4(x)`; nothing cancels in the lower tail.
 *
 * Phi(-|x|) = bell(x) t R(t) with t = 1 / (1 + 0.27 |x|): R is the minimax polynomial of degree 8 on |x| <= 15, where
 * its relative error is 2.4e-8.
 */
// @ts-ignore: decorator
@inline
export function normalCdf4(x: v128, bell: v128): v128 {
  const t = f32x4.div(one(), multiplyAdd(f32x4.abs(x), constant(NORMAL, 1), one()));
  const square = f32x4.mul(t, t), fourth = f32x4.mul(square, square);
  const upper = multiplyAdd(multiplyAdd(constant(NORMAL, 10), square, pair(NORMAL, 8, t)), square, pair(NORMAL, 6, t));
  const lower = multiplyAdd(pair(NORMAL, 4, t), square, pair(NORMAL, 2, t));
  const tail = f32x4.mul(f32x4.mul(multiplyAdd(upper, fourth, lower), t), bell);
  return v128.bitselect(tail, f32x4.sub(one(), tail), f32x4.lt(x, f32x4.splat(0)));
}

/** cos(2 pi t) for t from 0 to 1, within 2 ulp of 1: quarters of a turn by symmetry, the rest by Cephes' polynomials. */
// @ts-ignore: decorator
@inline
export function cosineOfTurns4(t: v128): v128 {
  const quarter = f32x4.nearest(f32x4.mul(t, f32x4.splat(4)));
  const x = f32x4.mul(f32x4.sub(t, f32x4.mul(quarter, f32x4.splat(0.25))), constant(CIRCLE, 0));
  const square = f32x4.mul(x, x), fourth = f32x4.mul(square, square);
  const cosine = multiplyAdd(
    multiplyAdd(constant(CIRCLE, 4), fourth, pair(CIRCLE, 2, square)), fourth,
    multiplyAdd(constant(CIRCLE, 1), square, one()),
  );
  const tail = multiplyAdd(pair(CIRCLE, 6, square), square, constant(CIRCLE, 5));
  const sine = multiplyAdd(f32x4.mul(tail, square), x, x);
  // Of quarters 0 to 4: cos, -sin, -cos, sin, cos.
  const number = i32x4.trunc_sat_f32x4_s(quarter);
  const odd = i32x4.shr_s(i32x4.shl(number, 31), 31);
  const sign = i32x4.shl(i32x4.shr_u(v128.and(i32x4.add(number, i32x4.splat(1)), i32x4.splat(2)), 1), 31);
  return v128.xor(v128.bitselect(sine, cosine, odd), sign);
}
