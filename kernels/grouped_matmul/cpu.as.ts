// A unit is one tile of C: rows of one group by `tileColumns`. How many rows a group has is only known here, so there
// are as many units as any split of the rows could need, and each looks up its group; rows after the last group form
// one more group, of zeros. What follows the product is done to a tile while it is in cache.
import { activate4, slopeAt4 } from "../activation.as";
import { address, integer } from "../arguments.as";
import { gemmOfRows } from "../gathered.as";
import { gemm } from "../gemm.as";
import { loadFirst, storeFirst } from "../math.as";

export function groupedMatmul(from: i32, to: i32, list: usize): void {
  const N = integer(list, 8), E = integer(list, 9), K = integer(list, 10), M = integer(list, 11);
  const transposeB = integer(list, 12) != 0, tileRows = integer(list, 13), tileColumns = integer(list, 14);
  const each = integer(list, 15), R = integer(list, 16), biased = integer(list, 17) != 0;
  const activation = integer(list, 18), slope = integer(list, 19), keeps = integer(list, 20) != 0;
  const own = <usize>integer(list, 21);
  const a = address(list, 0), b = address(list, 1), offset = address(list, 2);
  let next = 3;
  const index = each > 0 ? address(list, next++) : 0;
  const bias = biased ? address(list, next++) : 0;
  const at = slope >= 0 ? address(list, next++) : 0;
  const c = address(list, next++);
  const before = keeps ? address(list, next) : 0;
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
    const place = (<usize>i * <usize>M + <usize>j) << 2;
    if (group == E) {
      clear(c + place, rows, columns, M);
      if (keeps) clear(before + place, rows, columns, M);
      continue;
    }
    const matrix = b + ((<usize>group * <usize>K * <usize>M + <usize>j * <usize>brj) << 2);
    if (each > 0) {
      gemmOfRows(rows, columns, K, a, R, index + (<usize>i << 2), each, matrix, brk, brj, c + place, M, own);
    } else {
      gemm(rows, columns, K, a + ((<usize>i * <usize>K) << 2), K, 1, matrix, brk, brj, c + place, M, false);
    }
    if (!biased && activation < 0 && slope < 0) continue;
    const ownBias = biased ? bias + ((<usize>group * <usize>M + <usize>j) << 2) : 0;
    for (let row: usize = 0; row < <usize>rows; row++) {
      const along = place + ((row * <usize>M) << 2);
      if (biased) addBias(c + along, ownBias, columns);
      if (keeps) memory.copy(before + along, c + along, <usize>columns << 2);
      if (activation == 0) activate(0, c + along, columns);
      else if (activation == 1) activate(1, c + along, columns);
      else if (activation == 2) activate(2, c + along, columns);
      if (slope == 0) multiplySlope(0, c + along, at + along, columns);
      else if (slope == 1) multiplySlope(1, c + along, at + along, columns);
      else if (slope == 2) multiplySlope(2, c + along, at + along, columns);
    }
  }
}

function clear(c: usize, rows: i32, columns: i32, M: i32): void {
  for (let row = 0; row < rows; row++) memory.fill(c + ((<usize>row * <usize>M) << 2), 0, <usize>columns << 2);
}

function addBias(c: usize, bias: usize, count: i32): void {
  for (; count >= 4; count -= 4, c += 16, bias += 16) v128.store(c, f32x4.add(v128.load(c), v128.load(bias)));
  const zero = f32x4.splat(0);
  if (count > 0) storeFirst(c, f32x4.add(loadFirst(c, count, zero), loadFirst(bias, count, zero)), count);
}

// @ts-ignore: decorator
@inline
function activate(op: i32, c: usize, count: i32): void {
  for (; count >= 4; count -= 4, c += 16) v128.store(c, activate4(op, v128.load(c)));
  if (count > 0) storeFirst(c, activate4(op, loadFirst(c, count, f32x4.splat(1))), count);
}

// @ts-ignore: decorator
@inline
function multiplySlope(op: i32, c: usize, at: usize, count: i32): void {
  for (; count >= 4; count -= 4, c += 16, at += 16) {
    v128.store(c, f32x4.mul(v128.load(c), slopeAt4(op, v128.load(at))));
  }
  const one = f32x4.splat(1);
  if (count > 0) storeFirst(c, f32x4.mul(loadFirst(c, count, one), slopeAt4(op, loadFirst(at, count, one))), count);
}
