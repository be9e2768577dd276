// A BLAS under gemm. `sgemm` is the library's own function, which the host hands in where it has one; it
// takes addresses of the process, so `origin` says where this memory begins there, and is 0 where there is no library.
// The library runs on the thread that calls, so work is cut the same way with it and without.

// @ts-ignore: decorator
@external("env", "sgemm")
declare function sgemm(
  order: i32, transposeA: i32, transposeB: i32, M: i32, N: i32, K: i32, alpha: f32,
  a: u64, lda: i32, b: u64, ldb: i32, beta: f32, c: u64, ldc: i32,
): void;

const ROW_MAJOR: i32 = 101;
const AS_STORED: i32 = 111;
const TRANSPOSED: i32 = 112;

let origin: u64 = 0;
let least: i64 = 0;

/** Called once by each thread. `leastProduct` is in multiply-adds. */
export function setBlas(originAt: u64, leastProduct: i32): void {
  origin = originAt;
  least = leastProduct;
}

/**
 * Whether a product is given to the BLAS: the one place where that is chosen. For a few rows packing costs more
 * than it saves, in a library too; for few multiply-adds the call does.
 */
function suitsBlas(M: i32, N: i32, K: i32): bool {
  return origin != 0 && M >= 8 && <i64>M * <i64>N * <i64>K >= max<i64>(1, least);
}

/** Computes what gemm is asked for when BLAS takes it; false when it is left to gemm. */
export function blas(
  M: i32, N: i32, K: i32, a: usize, ari: i32, ark: i32, b: usize, brk: i32, brj: i32,
  c: usize, ldc: i32, accumulate: bool,
): bool {
  if (!suitsBlas(M, N, K)) return false;
  const transposeA = ark != 1, transposeB = brj != 1;
  const lda = transposeA ? ark : ari, ldb = transposeB ? brj : brk;
  const wideA = transposeA ? M : K, wideB = transposeB ? K : N;
  if ((transposeA && ari != 1) || (transposeB && brk != 1) || lda < wideA || ldb < wideB) return false;
  sgemm(
    ROW_MAJOR, transposeA ? TRANSPOSED : AS_STORED, transposeB ? TRANSPOSED : AS_STORED, M, N, K, 1,
    origin + a, lda, origin + b, ldb, accumulate ? 1 : 0, origin + c, ldc,
  );
  return true;
}
