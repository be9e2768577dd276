// A unit is one tile (`tileRows` x `tileColumns`) of one group's matrix. Tiles are small enough that the threads share
// the work when one group has all the rows.
import { address, integer } from "../arguments.as";
import { gemm } from "../gemm.as";

export function groupedWeightGradient(from: i32, to: i32, list: usize): void {
  const a = address(list, 0), g = address(list, 1), offset = address(list, 2), c = address(list, 3);
  const K = integer(list, 4), M = integer(list, 5), tileRows = integer(list, 6), tileColumns = integer(list, 7);
  const across = (M + tileColumns - 1) / tileColumns;
  const tiles = across * ((K + tileRows - 1) / tileRows);
  for (let unit = from; unit < to; unit++) {
    const group = unit / tiles, tile = unit % tiles;
    const i = (tile / across) * tileRows, j = (tile % across) * tileColumns;
    const start = load<i32>(offset + (<usize>group << 2)), end = load<i32>(offset + (<usize>group << 2), 4);
    gemm(
      min(tileRows, K - i), min(tileColumns, M - j), end - start,
      a + ((<usize>start * <usize>K + <usize>i) << 2), 1, K,
      g + ((<usize>start * <usize>M + <usize>j) << 2), M, 1,
      c + ((<usize>group * <usize>K * <usize>M + <usize>i * <usize>M + <usize>j) << 2), M, false,
    );
  }
}
