// A unit is one tile of C (`tileRows` x `tileColumns`).
import { address, integer } from "../parts/arguments.as";
import { gemm } from "../parts/gemm.as";

export function matmul(from: i32, to: i32, list: usize): void {
  const a = address(list, 0), b = address(list, 1), c = address(list, 2);
  const M = integer(list, 3), N = integer(list, 4), K = integer(list, 5);
  const transposeA = integer(list, 6) != 0, transposeB = integer(list, 7) != 0;
  const tileRows = integer(list, 8), tileColumns = integer(list, 9);
  const across = (N + tileColumns - 1) / tileColumns;
  const ari = transposeA ? 1 : K, ark = transposeA ? M : 1;
  const brk = transposeB ? 1 : N, brj = transposeB ? K : 1;
  for (let unit = from; unit < to; unit++) {
    const i = (unit / across) * tileRows, j = (unit % across) * tileColumns;
    gemm(
      min(tileRows, M - i), min(tileColumns, N - j), K,
      a + ((<usize>i * <usize>ari) << 2), ari, ark,
      b + ((<usize>j * <usize>brj) << 2), brk, brj,
      c + ((<usize>i * <usize>N + <usize>j) << 2), N, false,
    );
  }
}
