// The register-tiled product under matmul, grouped matmul and attention: C (+)= A B for any strides.
//
// Six rows by eight columns of C stay in twelve vector registers (with two for B and one for A that is all but one of
// the sixteen an x64 engine has). B is packed into panels of eight columns, and A into strips of six rows; a strip stays
// in the first cache while it meets all panels. Each element of C is one chain of multiply-adds along K in blocks of KC,
// whatever the tile it falls into, so results do not depend on how work is split, nor on the tile.
//
// Deno checks bounds at every access of memory. The narrow tile, four rows by eight columns, makes three accesses for
// eight multiply-adds where the tall one makes eight for twelve: four values of A come in one load and are spread by
// shuffles. Which of the two is faster is the processor's affair (cpu/tiles.ts measures).
import { scratch } from "./arguments.as";
import { blas } from "./blas.as";
import { packStored } from "./stored_matrix.as";
import { transpose4 } from "./transpose4.as";

/** Longest stretch of K that is packed at once. */
export const KC: i32 = 384;
/** Most columns of B that are packed at once. */
export const NC: i32 = 256;
/** Most rows of A that are packed at once. */
const MC: i32 = 96;
/** Rows that are fetched from memory before they are packed. */
const TOUCHED: i32 = 16;
/** Where A is packed: behind a tile of 6 x 8 floats, for those that stick out to the right. */
export const PACKED_A: usize = 256;

/** Where B is packed: behind `rows` rows of A along `depth`. What both take is `packedBytes` in tiling.ts. */
// @ts-ignore: decorator
@inline
export function packedBehind(rows: i32, depth: i32): usize {
  return PACKED_A + ((<usize>max((rows + 5) / 6 * 24, (rows + 3) / 4 * 16) * <usize>depth + 63) & ~63);
}

/** Whether gemm's tile is the narrow one; of each thread, set for every program. */
let narrow: bool = false;

export function setNarrow(choice: bool): void {
  narrow = choice;
}

// @ts-ignore: decorator
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

let touched: i32 = 0;

/**
 * Reads one word of every cache line of some rows. WebAssembly has no prefetch; plain loads next to each other wait for
 * memory together, where packing, with its many instructions a line, would wait for one line after the other.
 */
function touch(at: usize, stride: usize, rows: i32, bytes: usize): void {
  let sum = touched;
  for (let row = 0; row < rows; row++) {
    for (let line: usize = 0; line < bytes; line += 64) sum += load<i32>(at + line);
    at += stride;
  }
  touched = sum;
}

/** Packs B[0..kc, 0..nc] into panels of 8 columns, padded with zeros; panel j starts at `to` + 4 kc j. */
export function packB(b: usize, brk: i32, brj: i32, kc: i32, nc: i32, to: usize): void {
  const strideK = <usize>brk << 2;
  const strideJ = <usize>brj << 2;
  const panel = <usize>kc << 5;
  let j = 0;
  if (brj == 1) {
    // Along B's rows, as they lie in memory, a few rows at a time so that whole cache lines are written.
    const whole = nc & ~7;
    for (let k = 0; k < kc; k += TOUCHED) {
      const rows = min(TOUCHED, kc - k);
      touch(b + <usize>k * strideK, strideK, rows, <usize>nc << 2);
      for (let r = 0; r < rows; r += 8) {
        let from = b + <usize>(k + r) * strideK;
        let into = to + (<usize>(k + r) << 5);
        const end = <usize>min(8, rows - r) * strideK;
        for (let i = 0; i < whole; i += 8) {
          let target = into;
          for (let source = from, last = from + end; source < last; source += strideK) {
            v128.store(target, v128.load(source));
            v128.store(target, v128.load(source, 16), 16);
            target += 32;
          }
          from += 32;
          into += panel;
        }
      }
    }
    j = whole;
  } else if (brk == 1) {
    for (; j + 8 <= nc; j += 8) {
      let source = b + <usize>j * strideJ;
      let target = to + ((<usize>j * <usize>kc) << 2);
      let k = 0;
      touch(source, strideJ, 8, <usize>kc << 2);
      for (; k + 4 <= kc; k += 4) {
        transpose4(source, strideJ, target, 32);
        transpose4(source + 4 * strideJ, strideJ, target + 16, 32);
        source += 16;
        target += 128;
      }
      for (; k < kc; k++) {
        for (let i: usize = 0; i < 8; i++) store<f32>(target + (i << 2), load<f32>(source + i * strideJ));
        source += 4;
        target += 32;
      }
    }
  }
  for (; j < nc; j += 8) {
    const real = <usize>min(nc - j, 8);
    let source = b + <usize>j * strideJ;
    let target = to + ((<usize>j * <usize>kc) << 2);
    for (let k = 0; k < kc; k++) {
      for (let i: usize = 0; i < 8; i++) {
        store<f32>(target + (i << 2), i < real ? load<f32>(source + i * strideJ) : 0);
      }
      source += strideK;
      target += 32;
    }
  }
}

/** How many of the `left` rows a strip takes: up to 6, but two strips of up to 4 rather than one of 6 and one of 2. */
// @ts-ignore: decorator
@inline
function stripOf(left: i32): i32 {
  return left == 7 || left == 8 ? 4 : min(left, 6);
}

/** Packs A[0..mc, 0..kc] into strips of up to 6 rows, column after column; a strip takes 24 kc bytes. */
export function packA(a: usize, ari: i32, ark: i32, mc: i32, kc: i32, to: usize): void {
  const strideI = <usize>ari << 2;
  const strideK = <usize>ark << 2;
  const strip = <usize>kc * 24;
  let i = 0;
  if (ark != 1) {
    // Along A's columns, as they lie in memory.
    const rest = mc % 6;
    const whole = mc - rest - (mc > 6 && (rest == 1 || rest == 2) ? 6 : 0);
    for (let k = 0; k < kc; k += TOUCHED) {
      const rows = min(TOUCHED, kc - k);
      let from = a + <usize>k * strideK;
      let into = to + <usize>k * 24;
      touch(from, strideK, rows, <usize>mc << 2);
      for (i = 0; i < whole; i += 6) {
        let target = into;
        for (let source = from, last = from + <usize>rows * strideK; source < last; source += strideK) {
          v128.store(target, v128.load(source));
          store<u64>(target, load<u64>(source, 16), 16);
          target += 24;
        }
        from += 24;
        into += strip;
      }
    }
    to += <usize>(whole / 6) * strip;
  }
  while (i < mc) {
    const rows = stripOf(mc - i);
    packStrip(a + <usize>i * strideI, strideI, strideK, rows, kc, to);
    to += strip;
    i += rows;
  }
}

/** Packs A[0..mc, 0..kc] into strips of 4 rows, column after column, for the narrow tile; a strip takes 16 kc bytes. */
function packNarrow(a: usize, ari: i32, ark: i32, mc: i32, kc: i32, to: usize): void {
  const strideI = <usize>ari << 2, strideK = <usize>ark << 2;
  const strip = <usize>kc << 4;
  let i = 0;
  if (ark != 1) {
    // Along A's columns, as they lie in memory.
    const whole = mc & ~3;
    for (let k = 0; k < kc; k += TOUCHED) {
      const rows = min(TOUCHED, kc - k);
      let from = a + <usize>k * strideK;
      let into = to + (<usize>k << 4);
      touch(from, strideK, rows, <usize>mc << 2);
      for (i = 0; i < whole; i += 4) {
        let target = into;
        for (let source = from, last = from + <usize>rows * strideK; source < last; source += strideK) {
          v128.store(target, v128.load(source));
          target += 16;
        }
        from += 16;
        into += strip;
      }
    }
    to += <usize>(whole >> 2) * strip;
    i = whole;
  }
  for (; i < mc; i += 4, to += strip) packNarrowStrip(a + <usize>i * strideI, strideI, strideK, min(4, mc - i), kc, to);
}

/** Packs one strip of the narrow tile; rows that it lacks repeat its last. */
function packNarrowStrip(a: usize, strideI: usize, strideK: usize, rows: i32, kc: i32, target: usize): void {
  const last = a + <usize>(rows - 1) * strideI;
  const b = min(a + strideI, last), c = min(a + 2 * strideI, last);
  const end = <usize>kc * strideK;
  let at: usize = 0;
  if (strideK == 4) {
    touch(a, strideI, rows, end);
    for (; at + 16 <= end; at += 16) {
      const a0 = v128.load(a + at), b0 = v128.load(b + at), c0 = v128.load(c + at), d0 = v128.load(last + at);
      const abLow = v128.shuffle<f32>(a0, b0, 0, 4, 1, 5), abHigh = v128.shuffle<f32>(a0, b0, 2, 6, 3, 7);
      const cdLow = v128.shuffle<f32>(c0, d0, 0, 4, 1, 5), cdHigh = v128.shuffle<f32>(c0, d0, 2, 6, 3, 7);
      v128.store(target, v128.shuffle<f32>(abLow, cdLow, 0, 1, 4, 5));
      v128.store(target, v128.shuffle<f32>(abLow, cdLow, 2, 3, 6, 7), 16);
      v128.store(target, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5), 32);
      v128.store(target, v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7), 48);
      target += 64;
    }
  }
  for (; at < end; at += strideK) {
    store<f32>(target, load<f32>(a + at));
    store<f32>(target, load<f32>(b + at), 4);
    store<f32>(target, load<f32>(c + at), 8);
    store<f32>(target, load<f32>(last + at), 12);
    target += 16;
  }
}

/** Packs one strip; rows that it lacks repeat its last. */
function packStrip(a: usize, strideI: usize, strideK: usize, rows: i32, kc: i32, target: usize): void {
  const last = a + <usize>(rows - 1) * strideI;
  const b = min(a + strideI, last), c = min(a + 2 * strideI, last), d = min(a + 3 * strideI, last);
  const e = min(a + 4 * strideI, last), f = min(a + 5 * strideI, last);
  const end = <usize>kc * strideK;
  let at: usize = 0;
  if (strideK == 4) {
    touch(a, strideI, rows, end);
    for (; at + 16 <= end; at += 16) {
      const a0 = v128.load(a + at), b0 = v128.load(b + at), c0 = v128.load(c + at);
      const d0 = v128.load(d + at), e0 = v128.load(e + at), f0 = v128.load(f + at);
      const abLow = v128.shuffle<f32>(a0, b0, 0, 4, 1, 5), abHigh = v128.shuffle<f32>(a0, b0, 2, 6, 3, 7);
      const cdLow = v128.shuffle<f32>(c0, d0, 0, 4, 1, 5), cdHigh = v128.shuffle<f32>(c0, d0, 2, 6, 3, 7);
      const efLow = v128.shuffle<f32>(e0, f0, 0, 4, 1, 5), efHigh = v128.shuffle<f32>(e0, f0, 2, 6, 3, 7);
      v128.store(target, v128.shuffle<f32>(abLow, cdLow, 0, 1, 4, 5));
      v128.store(target, v128.shuffle<f32>(efLow, abLow, 0, 1, 6, 7), 16);
      v128.store(target, v128.shuffle<f32>(cdLow, efLow, 2, 3, 6, 7), 32);
      v128.store(target, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5), 48);
      v128.store(target, v128.shuffle<f32>(efHigh, abHigh, 0, 1, 6, 7), 64);
      v128.store(target, v128.shuffle<f32>(cdHigh, efHigh, 2, 3, 6, 7), 80);
      target += 96;
    }
  }
  for (; at < end; at += strideK) {
    store<f32>(target, load<f32>(a + at));
    store<f32>(target, load<f32>(b + at), 4);
    store<f32>(target, load<f32>(c + at), 8);
    store<f32>(target, load<f32>(d + at), 12);
    store<f32>(target, load<f32>(e + at), 16);
    store<f32>(target, load<f32>(f + at), 20);
    target += 24;
  }
}

// @ts-ignore: decorator
@inline
function put(c: usize, low: v128, high: v128, accumulate: bool): void {
  if (accumulate) {
    v128.store(c, f32x4.add(v128.load(c), low));
    v128.store(c, f32x4.add(v128.load(c, 16), high), 16);
  } else {
    v128.store(c, low);
    v128.store(c, high, 16);
  }
}

/**
 * One tile of R (2, 4 or 6) rows by 8 columns, of which `rows` (R or R - 1) are stored.
 *
 * Two steps along K a turn; the way out between them keeps the optimizer from moving all multiply-adds of one sum
 * together, which would need more registers than there are.
 */
// @ts-ignore: decorator
@inline
function tile(
  R: i32, rows: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  const end = b + (<usize>kc << 5);
  while (b < end) {
    let b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load_splat<f32>(a);
    c00 = multiplyAdd(x, b0, c00); c01 = multiplyAdd(x, b1, c01);
    x = v128.load_splat<f32>(a, 4);
    c10 = multiplyAdd(x, b0, c10); c11 = multiplyAdd(x, b1, c11);
    if (R >= 4) {
      x = v128.load_splat<f32>(a, 8);
      c20 = multiplyAdd(x, b0, c20); c21 = multiplyAdd(x, b1, c21);
      x = v128.load_splat<f32>(a, 12);
      c30 = multiplyAdd(x, b0, c30); c31 = multiplyAdd(x, b1, c31);
    }
    if (R >= 6) {
      x = v128.load_splat<f32>(a, 16);
      c40 = multiplyAdd(x, b0, c40); c41 = multiplyAdd(x, b1, c41);
      x = v128.load_splat<f32>(a, 20);
      c50 = multiplyAdd(x, b0, c50); c51 = multiplyAdd(x, b1, c51);
    }
    if (b + 32 >= end) break;
    b0 = v128.load(b, 32); b1 = v128.load(b, 48);
    x = v128.load_splat<f32>(a, 24);
    c00 = multiplyAdd(x, b0, c00); c01 = multiplyAdd(x, b1, c01);
    x = v128.load_splat<f32>(a, 28);
    c10 = multiplyAdd(x, b0, c10); c11 = multiplyAdd(x, b1, c11);
    if (R >= 4) {
      x = v128.load_splat<f32>(a, 32);
      c20 = multiplyAdd(x, b0, c20); c21 = multiplyAdd(x, b1, c21);
      x = v128.load_splat<f32>(a, 36);
      c30 = multiplyAdd(x, b0, c30); c31 = multiplyAdd(x, b1, c31);
    }
    if (R >= 6) {
      x = v128.load_splat<f32>(a, 40);
      c40 = multiplyAdd(x, b0, c40); c41 = multiplyAdd(x, b1, c41);
      x = v128.load_splat<f32>(a, 44);
      c50 = multiplyAdd(x, b0, c50); c51 = multiplyAdd(x, b1, c51);
    }
    a += 48;
    b += 64;
  }
  put(c, c00, c01, accumulate);
  if (R > 2 || rows == R) put(c + strideC, c10, c11, accumulate);
  if (R >= 4) {
    put(c + 2 * strideC, c20, c21, accumulate);
    if (R > 4 || rows == R) put(c + 3 * strideC, c30, c31, accumulate);
  }
  if (R >= 6) {
    put(c + 4 * strideC, c40, c41, accumulate);
    if (rows == R) put(c + 5 * strideC, c50, c51, accumulate);
  }
}

function tile6(rows: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool): void {
  tile(6, rows, kc, a, b, c, strideC, accumulate);
}

function tile4(rows: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool): void {
  tile(4, rows, kc, a, b, c, strideC, accumulate);
}

function tile2(rows: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool): void {
  tile(2, rows, kc, a, b, c, strideC, accumulate);
}

/** One tile of R (2 or 4) rows by 8 columns from a strip of the narrow tile; `rows` (R or R - 1) of them are stored. */
// @ts-ignore: decorator
@inline
function narrowTile(
  R: i32, rows: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  const end = b + (<usize>kc << 5);
  while (b < end) {
    let four = v128.load(a), b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.shuffle<f32>(four, four, 0, 0, 0, 0);
    c00 = multiplyAdd(x, b0, c00); c01 = multiplyAdd(x, b1, c01);
    x = v128.shuffle<f32>(four, four, 1, 1, 1, 1);
    c10 = multiplyAdd(x, b0, c10); c11 = multiplyAdd(x, b1, c11);
    if (R == 4) {
      x = v128.shuffle<f32>(four, four, 2, 2, 2, 2);
      c20 = multiplyAdd(x, b0, c20); c21 = multiplyAdd(x, b1, c21);
      x = v128.shuffle<f32>(four, four, 3, 3, 3, 3);
      c30 = multiplyAdd(x, b0, c30); c31 = multiplyAdd(x, b1, c31);
    }
    if (b + 32 >= end) break;
    four = v128.load(a, 16); b0 = v128.load(b, 32); b1 = v128.load(b, 48);
    x = v128.shuffle<f32>(four, four, 0, 0, 0, 0);
    c00 = multiplyAdd(x, b0, c00); c01 = multiplyAdd(x, b1, c01);
    x = v128.shuffle<f32>(four, four, 1, 1, 1, 1);
    c10 = multiplyAdd(x, b0, c10); c11 = multiplyAdd(x, b1, c11);
    if (R == 4) {
      x = v128.shuffle<f32>(four, four, 2, 2, 2, 2);
      c20 = multiplyAdd(x, b0, c20); c21 = multiplyAdd(x, b1, c21);
      x = v128.shuffle<f32>(four, four, 3, 3, 3, 3);
      c30 = multiplyAdd(x, b0, c30); c31 = multiplyAdd(x, b1, c31);
    }
    a += 32;
    b += 64;
  }
  put(c, c00, c01, accumulate);
  if (R > 2 || rows == R) put(c + strideC, c10, c11, accumulate);
  if (R == 4) {
    put(c + 2 * strideC, c20, c21, accumulate);
    if (rows == R) put(c + 3 * strideC, c30, c31, accumulate);
  }
}

function narrow4(rows: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool): void {
  narrowTile(4, rows, kc, a, b, c, strideC, accumulate);
}

function narrow2(rows: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool): void {
  narrowTile(2, rows, kc, a, b, c, strideC, accumulate);
}

/** Copies what belongs to C from a tile that sticks out. */
function putEdge(rows: i32, columns: i32, target: usize, strideC: usize, accumulate: bool): void {
  const tile = scratch;
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let s: usize = 0; s < <usize>columns; s++) {
      const value = load<f32>(tile + r * 32 + (s << 2));
      const at = target + r * strideC + (s << 2);
      store<f32>(at, accumulate ? load<f32>(at) + value : value);
    }
  }
}

/** Up to four rows of C, as `multiplyStrip` does up to six, with the narrow tile and its strips. */
function multiplyNarrow(
  rows: i32, nc: i32, kc: i32, a: usize, b: usize, panel: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  for (let j = 0; j < nc; j += 8) {
    const whole = j + 8 <= nc;
    const into = whole ? c : scratch;
    const strideInto = whole ? strideC : 32;
    const add = whole && accumulate;
    if (rows > 2) narrow4(rows, kc, a, b, into, strideInto, add);
    else narrow2(rows, kc, a, b, into, strideInto, add);
    if (!whole) putEdge(rows, nc - j, c, strideC, accumulate);
    b += panel;
    c += 32;
  }
}

/**
 * Up to six rows of C[i,j] (+)= sum_k A[i,k] B[k,j], for a packed strip of A and B[0..kc, 0..nc] in packed panels that
 * lie `panel` bytes apart.
 */
export function multiplyStrip(
  rows: i32, nc: i32, kc: i32, a: usize, b: usize, panel: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  const edge = scratch;
  for (let j = 0; j < nc; j += 8) {
    const whole = j + 8 <= nc;
    const into = whole ? c : edge;
    const strideInto = whole ? strideC : 32;
    const add = whole && accumulate;
    if (rows > 4) tile6(rows, kc, a, b, into, strideInto, add);
    else if (rows > 2) tile4(rows, kc, a, b, into, strideInto, add);
    else tile2(rows, kc, a, b, into, strideInto, add);
    if (!whole) putEdge(rows, nc - j, c, strideC, accumulate);
    b += panel;
    c += 32;
  }
}

/**
 * C[i,j] (+)= sum_k A[i,k] B[k,j]. Element A[i,k] lies at a + 4 (i ari + k ark), B[k,j] at b + 4 (k brk + j brj),
 * C[i,j] at c + 4 (i ldc + j). With K = 0 and no accumulation C becomes zero.
 */
export function gemm(
  M: i32, N: i32, K: i32, a: usize, ari: i32, ark: i32, b: usize, brk: i32, brj: i32,
  c: usize, ldc: i32, accumulate: bool,
): void {
  if (blas(M, N, K, a, ari, ark, b, brk, brj, c, ldc, accumulate)) return;
  multiply(M, N, K, a, ari, ark, false, b, brk, brj, c, ldc, accumulate);
}

/** The same with B from row `firstK` and column `firstJ` of the stored matrix that is open; no BLAS reads one. */
export function gemmOfStored(
  M: i32, N: i32, K: i32, a: usize, ari: i32, ark: i32, firstK: i32, firstJ: i32,
  c: usize, ldc: i32, accumulate: bool,
): void {
  multiply(M, N, K, a, ari, ark, true, 0, firstK, firstJ, c, ldc, accumulate);
}

/** B lies in memory, with `brk` and `brj` between its elements; or it is stored, and they say where it begins. */
function multiply(
  M: i32, N: i32, K: i32, a: usize, ari: i32, ark: i32, stored: bool, b: usize, brk: i32, brj: i32,
  c: usize, ldc: i32, accumulate: bool,
): void {
  const strideC = <usize>ldc << 2;
  if (K == 0) {
    if (accumulate) return;
    for (let i = 0; i < M; i++) memory.fill(c + <usize>i * strideC, 0, <usize>N << 2);
    return;
  }
  const packedA = scratch + PACKED_A, packedB = scratch + packedBehind(min(MC, M), min(KC, K));
  for (let j0 = 0; j0 < N; j0 += NC) {
    const nc = min(NC, N - j0);
    for (let k0 = 0; k0 < K; k0 += KC) {
      const kc = min(KC, K - k0);
      if (stored) packStored(brk + k0, brj + j0, kc, nc, packedB);
      else packB(b + ((<usize>k0 * <usize>brk + <usize>j0 * <usize>brj) << 2), brk, brj, kc, nc, packedB);
      for (let i0 = 0; i0 < M; i0 += MC) {
        const mc = min(MC, M - i0);
        const from = a + ((<usize>i0 * <usize>ari + <usize>k0 * <usize>ark) << 2);
        const add = accumulate || k0 > 0, panel = <usize>kc << 5;
        let strip = packedA;
        let target = c + <usize>i0 * strideC + (<usize>j0 << 2);
        if (narrow) {
          packNarrow(from, ari, ark, mc, kc, packedA);
          for (let i = 0; i < mc; i += 4) {
            multiplyNarrow(min(4, mc - i), nc, kc, strip, packedB, panel, target, strideC, add);
            strip += <usize>kc << 4;
            target += 4 * strideC;
          }
          continue;
        }
        packA(from, ari, ark, mc, kc, packedA);
        for (let i = 0; i < mc;) {
          const rows = stripOf(mc - i);
          multiplyStrip(rows, nc, kc, strip, packedB, panel, target, strideC, add);
          strip += <usize>kc * 24;
          target += <usize>rows * strideC;
          i += rows;
        }
      }
    }
  }
}
