// How many multiply-adds a core does at most: twelve sums in registers, enough to hide the latency of each, and no
// memory at all. `fused` rounds once where the engine has relaxed SIMD, `plain` twice. `triad` is the opposite: two
// arrays in, one out, and next to nothing to compute (McCalpin, STREAM).

/** Floating-point operations of one round of either loop: twelve vectors of four, a multiplication and an addition. */
export function flopOfRound(): i32 {
  return 12 * 4 * 2;
}

export function fused(rounds: i32, factor: f32, offset: f32): f32 {
  const x = f32x4.splat(factor);
  const y = f32x4.splat(offset);
  let a = f32x4.splat(0), b = f32x4.splat(1), c = f32x4.splat(2), d = f32x4.splat(3);
  let e = f32x4.splat(4), f = f32x4.splat(5), g = f32x4.splat(6), h = f32x4.splat(7);
  let i = f32x4.splat(8), j = f32x4.splat(9), k = f32x4.splat(10), l = f32x4.splat(11);
  for (let round = 0; round < rounds; round++) {
    a = f32x4.relaxed_madd(a, x, y);
    b = f32x4.relaxed_madd(b, x, y);
    c = f32x4.relaxed_madd(c, x, y);
    d = f32x4.relaxed_madd(d, x, y);
    e = f32x4.relaxed_madd(e, x, y);
    f = f32x4.relaxed_madd(f, x, y);
    g = f32x4.relaxed_madd(g, x, y);
    h = f32x4.relaxed_madd(h, x, y);
    i = f32x4.relaxed_madd(i, x, y);
    j = f32x4.relaxed_madd(j, x, y);
    k = f32x4.relaxed_madd(k, x, y);
    l = f32x4.relaxed_madd(l, x, y);
  }
  return total(a, b, c, d) + total(e, f, g, h) + total(i, j, k, l);
}

export function plain(rounds: i32, factor: f32, offset: f32): f32 {
  const x = f32x4.splat(factor);
  const y = f32x4.splat(offset);
  let a = f32x4.splat(0), b = f32x4.splat(1), c = f32x4.splat(2), d = f32x4.splat(3);
  let e = f32x4.splat(4), f = f32x4.splat(5), g = f32x4.splat(6), h = f32x4.splat(7);
  let i = f32x4.splat(8), j = f32x4.splat(9), k = f32x4.splat(10), l = f32x4.splat(11);
  for (let round = 0; round < rounds; round++) {
    a = f32x4.add(f32x4.mul(a, x), y);
    b = f32x4.add(f32x4.mul(b, x), y);
    c = f32x4.add(f32x4.mul(c, x), y);
    d = f32x4.add(f32x4.mul(d, x), y);
    e = f32x4.add(f32x4.mul(e, x), y);
    f = f32x4.add(f32x4.mul(f, x), y);
    g = f32x4.add(f32x4.mul(g, x), y);
    h = f32x4.add(f32x4.mul(h, x), y);
    i = f32x4.add(f32x4.mul(i, x), y);
    j = f32x4.add(f32x4.mul(j, x), y);
    k = f32x4.add(f32x4.mul(k, x), y);
    l = f32x4.add(f32x4.mul(l, x), y);
  }
  return total(a, b, c, d) + total(e, f, g, h) + total(i, j, k, l);
}

/** a[i] = b[i] + factor c[i], `repeats` times over three arrays of `count` floats, a multiple of 16, from `start` on. */
export function triad(start: usize, count: i32, repeats: i32, factor: f32): void {
  const x = f32x4.splat(factor);
  const size = (<usize> count) << 2;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const end = start + size;
    for (let a = start; a < end; a += 64) {
      const b = a + size;
      const c = b + size;
      v128.store(a, f32x4.add(v128.load(b), f32x4.mul(v128.load(c), x)));
      v128.store(a, f32x4.add(v128.load(b, 16), f32x4.mul(v128.load(c, 16), x)), 16);
      v128.store(a, f32x4.add(v128.load(b, 32), f32x4.mul(v128.load(c, 32), x)), 32);
      v128.store(a, f32x4.add(v128.load(b, 48), f32x4.mul(v128.load(c, 48), x)), 48);
    }
  }
}

function total(a: v128, b: v128, c: v128, d: v128): f32 {
  const sum = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  return f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) +
    f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3);
}
