// A unit is one tile of C: rows of one group by `tileColumns`. How many rows a group has is only known here, so there
// are as many units as any split of the rows could need, and each looks up its group; rows after the last group form
// one more group, of zeros.
import { address, integer } from "../arguments.as";
import { gemm } from "../gemm.as";

export function groupedMatmul(from: i32, to: i32, list: usize): void {
  const a = address(list, 0), b = address(list, 1), offset = address(list, 2), c = address(list, 3);
  const N = integer(list, 4), E = integer(list, 5), K = integer(list, 6), M = integer(list, 7);
  const transposeB = integer(list, 8) != 0, tileRows = integer(list, 9), tileColumns = integer(list, 10);
  const across = (M + tileColumns - 1) / tileColumns;
  const brk = transposeB ? 1 : M, brj = transposeB ? K : 1;
  let group = 0, start = load<i32>(offset), end = load<i32>(offset + 4), firstTile = 0;
  let tiles = (end - start + tileRows - 1) / tileRows;
  for (let unit = from; unit < to; unit++) {
    const wanted = unit / across;
    while (wanted >= firstTile + tiles) {
      if (group == E) return;
      group++;
      firstTile += tiles;
      start = end;
      end = group == E ? N : load<i32>(offset + (<usize>(group + 1) << 2));
      tiles = (end - start + tileRows - 1) / tileRows;
    }
    // A group's tiles are equally high, so that none packs B for a few last rows.
    const high = ((end - start + tiles - 1) / tiles + 5) / 6 * 6;
    const i = start + (wanted - firstTile) * high;
    const j = (unit % across) * tileColumns;
    const rows = min(high, end - i), columns = min(tileColumns, M - j);
    if (rows <= 0) continue;
    const target = c + ((<usize>i * <usize>M + <usize>j) << 2);
    if (group == E) {
      for (let row = 0; row < rows; row++) memory.fill(target + ((<usize>row * <usize>M) << 2), 0, <usize>columns << 2);
      continue;
    }
    const matrix = b + ((<usize>group * <usize>K * <usize>M + <usize>j * <usize>brj) << 2);
    gemm(rows, columns, K, a + ((<usize>i * <usize>K) << 2), K, 1, matrix, brk, brj, target, M, false);
  }
}
