// Products with an operand whose rows are read through an index: a stretch of them is copied side by side before it is
// multiplied, from where it is in cache. Where a stretch ends depends on the shape alone, and up to one stretch sums are
// those of rows that lie side by side.
import { scratch } from "./arguments.as";
import { gemm, gemmOfStored, KC } from "./gemm.as";

/** Longest stretch of the depth: `STRETCH` in tiling.ts. */
const STRETCH: i32 = 4 * KC;

/** Row floor(index[n] / each) of an array of R rows, or R where there is none. */
// @ts-ignore: decorator
@inline
function sourceOf(index: usize, n: i32, each: i32, R: i32): i32 {
  return <i32>min(<u32>R, load<u32>(index + (<usize>n << 2)) / <u32>each);
}

/** Copies entries `first` to `first + count - 1` of `rows` indexed rows of A [R, K] side by side, `own` bytes into scratch. */
function gather(
  a: usize, R: i32, K: i32, index: usize, each: i32, rows: i32, first: i32, count: i32, own: usize,
): usize {
  const bytes = <usize>count << 2;
  let to = scratch + own;
  for (let n = 0; n < rows; n++, to += bytes) {
    const source = sourceOf(index, n, each, R);
    if (source == R) memory.fill(to, 0, bytes);
    else memory.copy(to, a + ((<usize>source * <usize>K + <usize>first) << 2), bytes);
  }
  return scratch + own;
}

/** C[i,j] = sum_k A[index[i],k] B[k,j] for at most 384 rows i; the rest as in `gemm`. */
export function gemmOfRows(
  rows: i32, columns: i32, K: i32, a: usize, R: i32, index: usize, each: i32, b: usize, brk: i32, brj: i32,
  c: usize, ldc: i32, own: usize,
): void {
  let k = 0;
  do {
    const depth = min(STRETCH, K - k);
    const copied = gather(a, R, K, index, each, rows, k, depth, own);
    gemm(rows, columns, depth, copied, depth, 1, b + ((<usize>k * <usize>brk) << 2), brk, brj, c, ldc, k > 0);
    k += depth;
  } while (k < K);
}

/** The same with B from column `firstJ` of the stored matrix that is open. */
export function gemmOfRowsStored(
  rows: i32, columns: i32, K: i32, a: usize, R: i32, index: usize, each: i32, firstJ: i32,
  c: usize, ldc: i32, own: usize,
): void {
  let k = 0;
  do {
    const depth = min(STRETCH, K - k);
    const copied = gather(a, R, K, index, each, rows, k, depth, own);
    gemmOfStored(rows, columns, depth, copied, depth, 1, k, firstJ, c, ldc, k > 0);
    k += depth;
  } while (k < K);
}

/** C[i,j] = sum_n A[index[n],first+i] G[n,j] for at most 384 columns i of A [R, K] and n below `count`. */
export function gemmOfColumns(
  rows: i32, columns: i32, count: i32, a: usize, R: i32, K: i32, first: i32, index: usize, each: i32,
  g: usize, M: i32, c: usize, ldc: i32, own: usize,
): void {
  let n = 0;
  do {
    const depth = min(STRETCH, count - n);
    const copied = gather(a, R, K, index + (<usize>n << 2), each, depth, first, rows, own);
    gemm(rows, columns, depth, copied, 1, rows, g + ((<usize>n * <usize>M) << 2), M, 1, c, ldc, n > 0);
    n += depth;
  } while (n < count);
}
