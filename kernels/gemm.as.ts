// The register-tiled product under matmul, grouped matmul and attention: C (+)= A B for any strides.
//
// Six rows by eight columns of C stay in twelve vector registers (with two for B and one for A that is all but one of
// the sixteen an x64 engine has). B is packed into panels of eight columns, unless A has so few rows that packing
// would cost more than it saves; A is read where it lies when its rows are contiguous along K, and packed into panels
// of six rows otherwise. Each element of C is one chain of multiply-adds along K in blocks of KC, whatever the tile it
// falls into, so results do not depend on how work is split.
import { scratch } from "./arguments.as";
import { blas } from "./blas.as";

export const SCRATCH_BYTES: usize = 4 << 20;

/** Longest stretch of K that is packed at once. */
export const KC: i32 = 256;
/** Most columns of B that are packed at once. */
export const NC: i32 = 512;
const MC: i32 = 192;
/** Where gemm packs B: room for KC x NC floats, 512 KiB. */
export const PACKED_B: usize = 0;
const PACKED_A: usize = 512 << 10; // MC x KC floats: 192 KiB
const TILE: usize = 704 << 10; // 6 x 8 floats, for tiles that stick out
/** From here on scratch belongs to the kernel that calls gemm. */
export const CALLER_SCRATCH: usize = 1 << 20;

// @ts-ignore: decorator
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Packs B[0..kc, 0..nc] into panels of 8 columns, padded with zeros; panel j starts at `to` + 4 kc j. */
export function packB(b: usize, brk: i32, brj: i32, kc: i32, nc: i32, to: usize): void {
  const strideK = <usize>brk << 2;
  const strideJ = <usize>brj << 2;
  for (let j = 0; j < nc; j += 8) {
    const width = nc - j;
    let source = b + <usize>j * strideJ;
    let target = to + ((<usize>j * <usize>kc) << 2);
    if (width >= 8 && brj == 1) {
      for (let k = 0; k < kc; k++) {
        v128.store(target, v128.load(source));
        v128.store(target, v128.load(source, 16), 16);
        source += strideK;
        target += 32;
      }
    } else if (width >= 8 && brk == 1) {
      let k = 0;
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
    } else {
      const real = <usize>min(width, 8);
      for (let k = 0; k < kc; k++) {
        for (let i: usize = 0; i < 8; i++) {
          store<f32>(target + (i << 2), i < real ? load<f32>(source + i * strideJ) : 0);
        }
        source += strideK;
        target += 32;
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function transpose4(source: usize, stride: usize, target: usize, targetStride: usize): void {
  const r0 = v128.load(source);
  const r1 = v128.load(source + stride);
  const r2 = v128.load(source + 2 * stride);
  const r3 = v128.load(source + 3 * stride);
  const a = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const b = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const c = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const d = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<f32>(a, c, 0, 1, 4, 5));
  v128.store(target + targetStride, v128.shuffle<f32>(a, c, 2, 3, 6, 7));
  v128.store(target + 2 * targetStride, v128.shuffle<f32>(b, d, 0, 1, 4, 5));
  v128.store(target + 3 * targetStride, v128.shuffle<f32>(b, d, 2, 3, 6, 7));
}

/** Packs A[i0..i0+mc, k0..k0+kc] into panels of 6 rows, padded with zeros. */
function packA(a: usize, ari: i32, ark: i32, mc: i32, kc: i32, to: usize): void {
  const strideI = <usize>ari << 2;
  const strideK = <usize>ark << 2;
  for (let i = 0; i < mc; i += 6) {
    const real = <usize>min(mc - i, 6);
    let source = a + <usize>i * strideI;
    let target = to + ((<usize>i * <usize>kc) << 2);
    for (let k = 0; k < kc; k++) {
      if (real == 6 && ari == 1) {
        v128.store(target, v128.load(source));
        store<u64>(target, load<u64>(source, 16), 16);
      } else if (real == 6) {
        store<f32>(target, load<f32>(source));
        store<f32>(target, load<f32>(source + strideI), 4);
        store<f32>(target, load<f32>(source + 2 * strideI), 8);
        store<f32>(target, load<f32>(source + 3 * strideI), 12);
        store<f32>(target, load<f32>(source + 4 * strideI), 16);
        store<f32>(target, load<f32>(source + 5 * strideI), 20);
      } else {
        for (let r: usize = 0; r < 6; r++) {
          store<f32>(target + (r << 2), r < real ? load<f32>(source + r * strideI) : 0);
        }
      }
      source += strideK;
      target += 24;
    }
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
 * One tile of R (2, 4 or 6) rows by 8 columns. Row i of A starts at a + i strideA, or at `last` when that is lower (a
 * tile that sticks out repeats A's last row); row k of B starts at b + k strideB.
 */
// @ts-ignore: decorator
@inline
function tileRows(
  R: i32, kc: i32, a: usize, strideA: usize, last: usize, b: usize, strideB: usize,
  c: usize, strideC: usize, accumulate: bool,
): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  const end = a + (<usize>kc << 2);
  let a1 = min(a + strideA, last), a2 = min(a + 2 * strideA, last), a3 = min(a + 3 * strideA, last);
  let a4 = min(a + 4 * strideA, last), a5 = min(a + 5 * strideA, last);
  while (a < end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load_splat<f32>(a);
    c00 = multiplyAdd(x, b0, c00); c01 = multiplyAdd(x, b1, c01);
    x = v128.load_splat<f32>(a1);
    c10 = multiplyAdd(x, b0, c10); c11 = multiplyAdd(x, b1, c11);
    if (R >= 4) {
      x = v128.load_splat<f32>(a2);
      c20 = multiplyAdd(x, b0, c20); c21 = multiplyAdd(x, b1, c21);
      x = v128.load_splat<f32>(a3);
      c30 = multiplyAdd(x, b0, c30); c31 = multiplyAdd(x, b1, c31);
      a2 += 4; a3 += 4;
    }
    if (R >= 6) {
      x = v128.load_splat<f32>(a4);
      c40 = multiplyAdd(x, b0, c40); c41 = multiplyAdd(x, b1, c41);
      x = v128.load_splat<f32>(a5);
      c50 = multiplyAdd(x, b0, c50); c51 = multiplyAdd(x, b1, c51);
      a4 += 4; a5 += 4;
    }
    a += 4; a1 += 4;
    b += strideB;
  }
  put(c, c00, c01, accumulate);
  put(c + strideC, c10, c11, accumulate);
  if (R >= 4) {
    put(c + 2 * strideC, c20, c21, accumulate);
    put(c + 3 * strideC, c30, c31, accumulate);
  }
  if (R >= 6) {
    put(c + 4 * strideC, c40, c41, accumulate);
    put(c + 5 * strideC, c50, c51, accumulate);
  }
}

function rows6(
  kc: i32, a: usize, strideA: usize, last: usize, b: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  tileRows(6, kc, a, strideA, last, b, 32, c, strideC, accumulate);
}

function rows4(
  kc: i32, a: usize, strideA: usize, last: usize, b: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  tileRows(4, kc, a, strideA, last, b, 32, c, strideC, accumulate);
}

function rows2(
  kc: i32, a: usize, strideA: usize, last: usize, b: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  tileRows(2, kc, a, strideA, last, b, 32, c, strideC, accumulate);
}

function rows6Apart(
  kc: i32, a: usize, strideA: usize, last: usize, b: usize, strideB: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  tileRows(6, kc, a, strideA, last, b, strideB, c, strideC, accumulate);
}

function rows4Apart(
  kc: i32, a: usize, strideA: usize, last: usize, b: usize, strideB: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  tileRows(4, kc, a, strideA, last, b, strideB, c, strideC, accumulate);
}

function rows2Apart(
  kc: i32, a: usize, strideA: usize, last: usize, b: usize, strideB: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  tileRows(2, kc, a, strideA, last, b, strideB, c, strideC, accumulate);
}

/** One 6 x 8 tile; A is a packed panel of 6 rows. */
function tilePacked(kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  const end = b + (<usize>kc << 5);
  while (b < end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load_splat<f32>(a);
    c00 = multiplyAdd(x, b0, c00); c01 = multiplyAdd(x, b1, c01);
    x = v128.load_splat<f32>(a, 4);
    c10 = multiplyAdd(x, b0, c10); c11 = multiplyAdd(x, b1, c11);
    x = v128.load_splat<f32>(a, 8);
    c20 = multiplyAdd(x, b0, c20); c21 = multiplyAdd(x, b1, c21);
    x = v128.load_splat<f32>(a, 12);
    c30 = multiplyAdd(x, b0, c30); c31 = multiplyAdd(x, b1, c31);
    x = v128.load_splat<f32>(a, 16);
    c40 = multiplyAdd(x, b0, c40); c41 = multiplyAdd(x, b1, c41);
    x = v128.load_splat<f32>(a, 20);
    c50 = multiplyAdd(x, b0, c50); c51 = multiplyAdd(x, b1, c51);
    a += 24;
    b += 32;
  }
  put(c, c00, c01, accumulate);
  put(c + strideC, c10, c11, accumulate);
  put(c + 2 * strideC, c20, c21, accumulate);
  put(c + 3 * strideC, c30, c31, accumulate);
  put(c + 4 * strideC, c40, c41, accumulate);
  put(c + 5 * strideC, c50, c51, accumulate);
}

/** Copies what belongs to C from a tile that sticks out. */
function putEdge(rows: i32, columns: i32, target: usize, strideC: usize, accumulate: bool): void {
  const tile = scratch + TILE;
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let s: usize = 0; s < <usize>columns; s++) {
      const value = load<f32>(tile + r * 32 + (s << 2));
      const at = target + r * strideC + (s << 2);
      store<f32>(at, accumulate ? load<f32>(at) + value : value);
    }
  }
}

/**
 * C[i,j] (+)= sum_k A[i,k] B[k,j] for B[0..kc, 0..nc] in panels of 8 columns, `panel` bytes apart, rows of a panel
 * `strideB` bytes apart. A's rows are contiguous along K.
 */
export function multiplyPanels(
  M: i32, nc: i32, kc: i32, a: usize, strideA: usize, b: usize, panel: usize, strideB: usize,
  c: usize, strideC: usize, accumulate: bool,
): void {
  const tile = scratch + TILE;
  const last = a + <usize>(M - 1) * strideA;
  for (let i = 0; i < M; i += 6) {
    const rows = min(6, M - i);
    const shape = (rows + 1) & ~1;
    let panelB = b;
    let target = c;
    for (let j = 0; j < nc; j += 8) {
      const columns = min(8, nc - j);
      const whole = rows == shape && columns == 8;
      const into = whole ? target : tile;
      const strideInto = whole ? strideC : 32;
      const add = whole && accumulate;
      if (strideB == 32) {
        if (shape == 6) rows6(kc, a, strideA, last, panelB, into, strideInto, add);
        else if (shape == 4) rows4(kc, a, strideA, last, panelB, into, strideInto, add);
        else rows2(kc, a, strideA, last, panelB, into, strideInto, add);
      } else if (shape == 6) rows6Apart(kc, a, strideA, last, panelB, strideB, into, strideInto, add);
      else if (shape == 4) rows4Apart(kc, a, strideA, last, panelB, strideB, into, strideInto, add);
      else rows2Apart(kc, a, strideA, last, panelB, strideB, into, strideInto, add);
      if (!whole) putEdge(rows, columns, target, strideC, accumulate);
      panelB += panel;
      target += 32;
    }
    a += 6 * strideA;
    c += 6 * strideC;
  }
}

/** The same for A in packed panels of 6 rows. */
function multiplyPackedA(
  M: i32, nc: i32, kc: i32, a: usize, b: usize, c: usize, strideC: usize, accumulate: bool,
): void {
  const tile = scratch + TILE;
  const panel = <usize>kc << 5;
  for (let i = 0; i < M; i += 6) {
    const rows = min(6, M - i);
    let panelB = b;
    let target = c;
    for (let j = 0; j < nc; j += 8) {
      const columns = min(8, nc - j);
      const whole = rows == 6 && columns == 8;
      tilePacked(kc, a, panelB, whole ? target : tile, whole ? strideC : 32, whole && accumulate);
      if (!whole) putEdge(rows, columns, target, strideC, accumulate);
      panelB += panel;
      target += 32;
    }
    a += <usize>kc * 24;
    c += 6 * strideC;
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
  const strideA = <usize>ari << 2, strideB = <usize>brk << 2, strideC = <usize>ldc << 2;
  if (K == 0 && !accumulate) {
    for (let i = 0; i < M; i++) memory.fill(c + <usize>i * strideC, 0, <usize>N << 2);
    return;
  }
  const packedB = scratch + PACKED_B, packedA = scratch + PACKED_A;
  // Packing pays for itself after about 32 rows, or at once where B's rows lie so far apart that they share cache sets.
  const inPlace = brj == 1 && ark == 1 && (M <= 6 || (M <= 32 && brk <= 1024));
  for (let j0 = 0; j0 < N; j0 += NC) {
    const nc = min(NC, N - j0);
    const left = inPlace ? nc & ~7 : 0;
    for (let k0 = 0; k0 < K; k0 += KC) {
      const kc = min(KC, K - k0);
      const panel = <usize>kc << 5;
      const add = accumulate || k0 > 0;
      const blockB = b + ((<usize>k0 * <usize>brk + <usize>j0 * <usize>brj) << 2);
      packB(blockB + ((<usize>left * <usize>brj) << 2), brk, brj, kc, nc - left, packedB);
      for (let i0 = 0; i0 < M; i0 += MC) {
        const mc = min(MC, M - i0);
        const blockA = a + ((<usize>i0 * <usize>ari + <usize>k0 * <usize>ark) << 2);
        const blockC = c + <usize>i0 * strideC + (<usize>j0 << 2);
        if (ark != 1) {
          packA(blockA, ari, ark, mc, kc, packedA);
          multiplyPackedA(mc, nc, kc, packedA, packedB, blockC, strideC, add);
          continue;
        }
        if (left > 0) multiplyPanels(mc, left, kc, blockA, strideA, blockB, 32, strideB, blockC, strideC, add);
        if (left < nc) {
          const rest = blockC + (<usize>left << 2);
          multiplyPanels(mc, nc - left, kc, blockA, strideA, packedB, panel, 32, rest, strideC, add);
        }
      }
    }
  }
}
