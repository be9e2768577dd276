// The two products inside causal attention, for a block of queries that starts at position `first`: each strip of six
// queries stops at the last key it may see, so that almost nothing is computed above the diagonal.
import { scratch } from "./arguments.as";
import { KC, multiplyStrip, NC, packA, packB, PACKED_A, packedBehind } from "./gemm.as";

/**
 * S[i,j] = sum_c q[i,c] k[j,c] for each query i and at least its keys j <= first + i; what lies further right in S is
 * not to be read. Strides count floats; `width` is at most KC; rows of S have room for a multiple of 8.
 */
export function causalScores(
  queries: i32, first: i32, width: i32, q: usize, strideQ: i32, k: usize, strideK: i32, S: usize, strideS: i32,
): void {
  const keys = first + queries;
  const strip = scratch + PACKED_A, packed = scratch + packedBehind(6, width);
  for (let j0 = 0; j0 < keys; j0 += NC) {
    const count = min(NC, keys - j0);
    packB(k + ((<usize>j0 * <usize>strideK) << 2), 1, strideK, width, count, packed);
    for (let i = 0; i < queries; i += 6) {
      const rows = min(6, queries - i);
      const seen = min(count, first + i + rows - j0);
      if (seen <= 0) continue;
      packA(q + ((<usize>i * <usize>strideQ) << 2), strideQ, 1, rows, width, strip);
      multiplyStrip(
        rows, (seen + 7) & ~7, width, strip, packed, <usize>width << 5,
        S + ((<usize>i * <usize>strideS + <usize>j0) << 2), <usize>strideS << 2, false,
      );
    }
  }
}

/** y[i,c] = sum over j of P[i,j] v[j,c], where P is 0 from key first + i + 1 to the end of query i's strip. */
export function causalSum(
  queries: i32, first: i32, width: i32, P: usize, strideP: i32, v: usize, strideV: i32, y: usize, strideY: i32,
): void {
  const keys = first + queries;
  const strip = scratch + PACKED_A, packed = scratch + packedBehind(6, min(KC, keys));
  for (let j0 = 0; j0 < keys; j0 += KC) {
    const count = min(KC, keys - j0);
    packB(v + ((<usize>j0 * <usize>strideV) << 2), strideV, 1, count, width, packed);
    for (let i = 0; i < queries; i += 6) {
      const rows = min(6, queries - i);
      const seen = min(count, first + i + rows - j0);
      if (seen <= 0) continue;
      packA(P + ((<usize>i * <usize>strideP + <usize>j0) << 2), strideP, 1, rows, seen, strip);
      multiplyStrip(
        rows, width, seen, strip, packed, <usize>count << 5,
        y + ((<usize>i * <usize>strideY) << 2), <usize>strideY << 2, j0 > 0,
      );
    }
  }
}
