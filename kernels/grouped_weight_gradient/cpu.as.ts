// A unit is one tile (`tileRows` x `tileColumns`) of one group's matrix. Tiles are small enough that the threads share
// the work when one group has all the rows.
import { address, integer } from "../parts/arguments.as";
import { gemmOfColumns } from "../parts/gathered.as";
import { gemm } from "../parts/gemm.as";

export function groupedWeightGradient(from: i32, to: i32, list: usize): void {
  const K = integer(list, 5), M = integer(list, 6), tileRows = integer(list, 7), tileColumns = integer(list, 8);
  const each = integer(list, 9), R = integer(list, 10), behind = <usize>integer(list, 11);
  const a = address(list, 0), g = address(list, 1), offset = address(list, 2);
  const index = each > 0 ? address(list, 3) : 0, c = address(list, each > 0 ? 4 : 3);
  const across = (M + tileColumns - 1) / tileColumns;
  const tiles = across * ((K + tileRows - 1) / tileRows);
  for (let unit = from; unit < to; unit++) {
    const group = unit / tiles, tile = unit % tiles;
    const i = (tile / across) * tileRows, j = (tile % across) * tileColumns;
    const start = load<i32>(offset + (<usize>group << 2)), end = load<i32>(offset + (<usize>group << 2), 4);
    const rows = min(tileRows, K - i), columns = min(tileColumns, M - j);
    const own = g + ((<usize>start * <usize>M + <usize>j) << 2);
    const target = c + ((<usize>group * <usize>K * <usize>M + <usize>i * <usize>M + <usize>j) << 2);
    if (each > 0) {
      const rowsOfA = index + (<usize>start << 2);
      gemmOfColumns(rows, columns, end - start, a, R, K, i, rowsOfA, each, own, M, target, M, behind);
      continue;
    }
    const first = a + ((<usize>start * <usize>K + <usize>i) << 2);
    gemm(rows, columns, end - start, first, 1, K, own, M, 1, target, M, false);
  }
}
