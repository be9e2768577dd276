// A unit is one tile of C: rows of one group by `tileColumns`. How many rows a group has is only known here, so there
// are as many units as any split of the rows could need, and each looks up its group; rows after the last group form
// one more group, of zeros. What follows the product is done to a tile while it is in cache.
import { activate4, activateAndKeep, slopeAt4 } from "./activation.as";
import { address, integer } from "./arguments.as";
import { gemmOfRows, gemmOfRowsStored } from "./gathered.as";
import { gemm, gemmOfStored } from "./gemm.as";
import { loadFirst, storeFirst } from "./math.as";
import { openStored } from "./stored_matrix.as";

/** `stored`: B is packed in a format, and seven more whole numbers say how. */
export function groupedProduct(from: i32, to: i32, list: usize, stored: bool): void {
  const N = integer(list, 8), E = integer(list, 9), K = integer(list, 10), M = integer(list, 11);
  const transposeB = integer(list, 12) != 0, tileRows = integer(list, 13), tileColumns = integer(list, 14);
  const each = integer(list, 15), R = integer(list, 16), biased = integer(list, 17) != 0;
  const activation = integer(list, 18), factor = integer(list, 19);
  const own = <usize>integer(list, 20);
  const a = address(list, 0), b = address(list, 1), offset = address(list, 2);
  let next = 3;
  const index = each > 0 ? address(list, next++) : 0;
  const bias = biased ? address(list, next++) : 0;
  const factors = factor >= 0 ? address(list, next++) : 0;
  const c = address(list, next++);
  // ReLU, number 0, keeps nothing.
  const slope = activation > 0 ? address(list, next) : 0;
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
      if (activation > 0) clear(slope + place, rows, columns, M);
      continue;
    }
    const matrix = b + ((<usize>group * <usize>K * <usize>M + <usize>j * <usize>brj) << 2);
    if (stored) {
      openStored(b + <usize>group * <usize>integer(list, 24), list, transposeB);
      if (each > 0) gemmOfRowsStored(rows, columns, K, a, R, index + (<usize>i << 2), each, j, c + place, M, own);
      else gemmOfStored(rows, columns, K, a + ((<usize>i * <usize>K) << 2), K, 1, 0, j, c + place, M, false);
    } else if (each > 0) {
      gemmOfRows(rows, columns, K, a, R, index + (<usize>i << 2), each, matrix, brk, brj, c + place, M, own);
    } else {
      gemm(rows, columns, K, a + ((<usize>i * <usize>K) << 2), K, 1, matrix, brk, brj, c + place, M, false);
    }
    if (!biased && activation < 0 && factor < 0) continue;
    const ownBias = biased ? bias + ((<usize>group * <usize>M + <usize>j) << 2) : 0;
    for (let row: usize = 0; row < <usize>rows; row++) {
      const along = place + ((row * <usize>M) << 2);
      if (biased) addBias(c + along, ownBias, columns);
      if (activation == 0) rectify(c + along, columns);
      else if (activation == 1) activateAndKeep(1, c + along, slope + along, columns);
      else if (activation == 2) activateAndKeep(2, c + along, slope + along, columns);
      if (factor == 0) multiply(false, c + along, factors + along, columns);
      else if (factor == 1) multiply(true, c + along, factors + along, columns);
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

function rectify(c: usize, count: i32): void {
  const zero = f32x4.splat(0);
  for (; count >= 4; count -= 4, c += 16) v128.store(c, activate4(0, v128.load(c)));
  if (count > 0) storeFirst(c, activate4(0, loadFirst(c, count, zero)), count);
}

/** Multiplies by `factors`, or by 1 where they are above 0 and 0 elsewhere. */
// @ts-ignore: decorator
@inline
function multiply(by: bool, c: usize, factors: usize, count: i32): void {
  for (; count >= 4; count -= 4, c += 16, factors += 16) {
    const factor = v128.load(factors);
    v128.store(c, f32x4.mul(v128.load(c), by ? factor : slopeAt4(0, factor)));
  }
  if (count > 0) {
    const zero = f32x4.splat(0), factor = loadFirst(factors, count, zero);
    storeFirst(c, f32x4.mul(loadFirst(c, count, zero), by ? factor : slopeAt4(0, factor)), count);
  }
}
