// How a product is cut into tiles that threads take: the one place where the CPU's tile shapes are chosen.
// They depend on the shape alone, never on the number of threads.

/** Tile of C in rows (a multiple of 6, the register tile) and columns (a multiple of 8). */
export interface Tiling {
  readonly rows: number;
  readonly columns: number;
}

/** About eight tiles or more for small products; at most 192 x 256 for large ones, where B's block fits in L2. */
export function tiling(M: number, N: number): Tiling {
  const columns = Math.min(256, roundUp(N, 8));
  const across = Math.ceil(N / columns);
  const down = Math.max(1, Math.ceil(8 / Math.max(1, across)));
  const rows = Math.min(192, Math.max(24, roundUp(Math.ceil(M / down), 6)));
  return { rows, columns: Math.max(8, columns) };
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
