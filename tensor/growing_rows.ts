// Rows that come bit by bit and stay: what a cache is made of. They belong to no memory scope, so a pass that adds some may
// close its own.
import { disown, release } from "./memory.ts";
import { concatRows, sliceRows } from "./row_blocks.ts";
import type { Tensor } from "./tensor.ts";

/** Rows that grow at their end. */
export interface GrowingRows {
  /** All rows there are, with new ones behind them; it holds the result, which is gone when rows come or go again. */
  append(rows: Tensor): Tensor;
  /** Lets go of all rows but the first `count`, where it has more. */
  cut(count: number): void;
}

/** Starts without rows. */
export function growingRows(): GrowingRows {
  let held: Tensor | null = null;
  const hold = (next: Tensor | null) => {
    if (next) disown(next);
    if (held) release(held);
    held = next;
  };
  return {
    append(rows) {
      const all = held ? concatRows([held, rows]) : rows;
      hold(all);
      return all;
    },
    cut(count) {
      if (held && count < held.shape[0]) hold(count === 0 ? null : sliceRows(held, 0, count));
    },
  };
}
