// Functions of one number, exact to the last bits on every driver: WGSL lets exp be off by many units in the last place
// and sin or log differ between adapters. Same polynomials as math.as.ts (Cephes). Infinity and NaN are told by their
// bits, because a compiler may assume that they do not occur.

fn isNaN(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// WGSL has no literal for these two.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn notANumber() -> f32 {
  var bits = 0x7fc00000u;
  return bitcast<f32>(bits);
}

fn powerOfTwo(n: i32) -> f32 {
  return bitcast<f32>(u32(n + 127) << 23u);
}

// What a row's softmax is made again from, e^((x - first) - second): the row's shift and the logarithm of its sum, apart
// where their sum (`both`) is so large that f32 would lose the latter.
fn normalizerOf(shift: f32, logOfSum: f32, both: f32) -> vec2f {
  return select(vec2f(0.0, both), vec2f(shift, logOfSum), abs(both) > 256.0);
}

// e^x within 1 ulp: 0 below -104, infinity above 88.73, NaN for NaN. x = n ln 2 + r with |r| <= ln 2 / 2; n times the
// first part of ln 2 is exact (9 + 8 bits), and 2^n comes in two factors so that neither leaves the range.
fn exponential(x: f32) -> f32 {
  let bounded = clamp(x, -104.5, 89.0);
  let n = round(bounded * 1.44269504);
  let r = (bounded - n * 0.693359375) + n * 2.12194440e-4;
  let square = r * r;
  let upper = (1.3981999507e-3 + 1.9875691500e-4 * r) * square + (4.1665795894e-2 + 8.3334519073e-3 * r);
  let tail = upper * square + (5.0000001201e-1 + 1.6666665459e-1 * r);
  let p = (tail * square + r) + 1.0;
  let whole = i32(n);
  let half = whole >> 1u;
  return select(p * powerOfTwo(half) * powerOfTwo(whole - half), x, isNaN(x));
}

// Natural logarithm within 1 ulp: -infinity at 0, NaN below; subnormal numbers are scaled as integers, so that a device
// which flushes them to 0 agrees.
fn logarithm(x: f32) -> f32 {
  let given = bitcast<u32>(x);
  let tiny = given < 0x00800000u;
  let scaled = select(given, bitcast<u32>(f32(given)), tiny);
  // Taking off the bits of sqrt(1/2) makes the exponent field count whole powers around it.
  let bits = i32(scaled) - 0x3f3504f3;
  let n = f32(bits >> 23u) - select(0.0, 149.0, tiny);
  let m = bitcast<f32>((u32(bits) & 0x007fffffu) + 0x3f3504f3u) - 1.0;
  let square = m * m;
  let fourth = square * square;
  let upper = (7.0376836292e-2 * square + (1.1676998740e-1 - 1.1514610310e-1 * m)) * square +
    (1.4249322787e-1 - 1.2420140846e-1 * m);
  let lower = (2.0000714765e-1 - 1.6668057665e-1 * m) * square + (3.3333331174e-1 - 2.4999993993e-1 * m);
  var p = ((upper * fourth + lower) * m) * square;
  p = p - 2.12194440e-4 * n;
  p = p - 0.5 * square;
  let ordinary = 0.693359375 * n + (m + p);
  if ((given & 0x7fffffffu) == 0u) {
    return -infinity();
  }
  if (given > 0x7f800000u) {
    return notANumber();
  }
  return select(ordinary, x, given == 0x7f800000u);
}

// 1 / (1 + e^-x); the exponential never overflows, so both tails keep their digits.
fn sigmoid(x: f32) -> f32 {
  let e = exponential(-abs(x));
  let large = 1.0 / (1.0 + e);
  return select(large, e * large, x < 0.0);
}

// Odd polynomial below 0.625, where 1 - 2 / (e^2x + 1) would cancel.
fn hyperbolicTangent(x: f32) -> f32 {
  let size = abs(x);
  let far = 1.0 - 2.0 / (exponential(size + size) + 1.0);
  let square = x * x;
  let p = ((-5.70498872745e-3 * square + 2.06390887954e-2) * square - 5.37397155531e-2) * (square * square) +
    (1.33314422036e-1 * square - 3.33332819422e-1);
  let near = (p * square) * x + x;
  return select(select(far, -far, x < 0.0), near, size < 0.625);
}

// e^(-x^2 / 2), the standard normal density without its factor 1 / sqrt(2 pi).
fn bell(x: f32) -> f32 {
  return exponential(-0.5 * (x * x));
}

// The standard normal distribution function, given bell(x). Phi(-|x|) = bell(x) t R(t) with t = 1 / (1 + 0.27 |x|); R is
// the minimax polynomial of degree 8 on |x| <= 15.
fn normalCdf(x: f32, bellOfX: f32) -> f32 {
  let t = 1.0 / (0.27 * abs(x) + 1.0);
  let square = t * t;
  let fourth = square * square;
  let upper = (0.0289953998375 * square + (0.170155183934 - 0.126658182882 * t)) * square +
    (0.108141929162 - 0.0696496764083 * t);
  let lower = (0.101848505256 + 0.0719085705315 * t) * square + (0.10772100334 + 0.107537279213 * t);
  let tail = ((upper * fourth + lower) * t) * bellOfX;
  return select(1.0 - tail, tail, x < 0.0);
}

// cos(2 pi t) for t from 0 to 1: quarters of a turn by symmetry, the rest by Cephes' polynomials.
fn cosineOfTurns(t: f32) -> f32 {
  let quarter = floor(t * 4.0 + 0.5);
  let x = (t - quarter * 0.25) * 6.2831853072;
  let square = x * x;
  let cosine = ((2.443315711809948e-5 * square - 1.388731625493765e-3) * square + 4.166664568298827e-2) *
    (square * square) + (1.0 - 0.5 * square);
  let sine = ((-1.9515295891e-4 * square + 8.3321608736e-3) * square - 1.6666654611e-1) * square * x + x;
  // Of quarters 0 to 4: cos, -sin, -cos, sin, cos.
  let number = i32(quarter);
  let size = select(cosine, sine, (number & 1) == 1);
  return select(size, -size, ((number + 1) & 2) == 2);
}
