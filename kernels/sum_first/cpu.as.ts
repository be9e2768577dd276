// A unit is a block of 16 columns. 256 rows are summed before they join the rest, which keeps partial sums small.
import { address, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst } from "../parts/math.as";

const BLOCK: i32 = 256;

function sixteen(x: usize, y: usize, rows: i32, stride: usize): void {
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  while (rows > 0) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    const block = min(rows, BLOCK);
    for (let row = 0; row < block; row++, x += stride) {
      s0 = f32x4.add(s0, v128.load(x));
      s1 = f32x4.add(s1, v128.load(x, 16));
      s2 = f32x4.add(s2, v128.load(x, 32));
      s3 = f32x4.add(s3, v128.load(x, 48));
    }
    t0 = f32x4.add(t0, s0);
    t1 = f32x4.add(t1, s1);
    t2 = f32x4.add(t2, s2);
    t3 = f32x4.add(t3, s3);
    rows -= block;
  }
  v128.store(y, t0);
  v128.store(y, t1, 16);
  v128.store(y, t2, 32);
  v128.store(y, t3, 48);
}

/** Up to four columns. */
function few(x: usize, y: usize, rows: i32, stride: usize, columns: i32): void {
  const zero = f32x4.splat(0);
  let total = zero;
  while (rows > 0) {
    let sum = zero;
    const block = min(rows, BLOCK);
    for (let row = 0; row < block; row++, x += stride) {
      sum = f32x4.add(sum, columns == 4 ? v128.load(x) : loadFirst(x, columns, zero));
    }
    total = f32x4.add(total, sum);
    rows -= block;
  }
  if (columns == 4) v128.store(y, total);
  else storeFirst(y, total, columns);
}

export function sumFirst(from: i32, to: i32, list: usize): void {
  const x = address(list, 0), y = address(list, 1), rows = integer(list, 2), C = integer(list, 3);
  const stride = <usize>C << 2;
  for (let unit = from; unit < to; unit++) {
    const first = unit << 4, last = min(first + 16, C);
    if (last - first == 16) {
      sixteen(x + (<usize>first << 2), y + (<usize>first << 2), rows, stride);
      continue;
    }
    for (let column = first; column < last; column += 4) {
      few(x + (<usize>column << 2), y + (<usize>column << 2), rows, stride, min(4, last - column));
    }
  }
}
