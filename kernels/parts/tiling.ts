// How a product is cut into tiles that threads take: the one place where the CPU's tile shapes are chosen.
// They depend on the shape alone, never on the number of threads.

/** Tile of C in rows (a multiple of 6, the register tile) and columns (a multiple of 8). */
export interface Tiling {
  readonly rows: number;
  readonly columns: number;
}

/** Tiles that even a small product is cut into, so that threads end at about the same time. */
const TILES = 8;
/** A tile packs its rows of A and its columns of B: what both cost shrinks as it grows, up to what stays in L2. */
const MOST_ROWS = 384;
const WIDTHS = [256, 128, 64];
/** From here on a tile's rows are worth packing B for. */
const GOOD_ROWS = 48;
const LEAST_ROWS = 24;

/** The widest columns that leave tiles enough, and equal rows, so that the number of tiles is a multiple of about 8. */
export function tiling(M: number, N: number): Tiling {
  const width = WIDTHS.find((width) => Math.ceil(N / width) * Math.ceil(M / GOOD_ROWS) >= TILES) ?? 64;
  const columns = Math.max(8, roundUp(N / Math.max(1, Math.ceil(N / width)), 8));
  const across = Math.max(1, Math.ceil(N / columns));
  const down = roundUp(Math.max(1, M / MOST_ROWS), Math.ceil(TILES / across));
  return { rows: Math.max(LEAST_ROWS, roundUp(M / down, 6)), columns };
}

/** What gemm.as.ts packs at once: at most so many rows of A and columns of B, along so much of the depth. */
const PACKED_ROWS = 96;
const PACKED_COLUMNS = 256;
const PACKED_DEPTH = 384;
/** Longest stretch of the depth that gathered.as.ts copies before it multiplies. */
const STRETCH = 4 * PACKED_DEPTH;
const EDGE_BYTES = 256;

/** Scratch of products of at most so many rows, columns and terms: an edge, strips of six or four rows, panels of eight columns. */
export function packedBytes(rows: number, columns: number, terms: number): number {
  const depth = Math.min(PACKED_DEPTH, terms);
  const packed = Math.min(PACKED_ROWS, rows);
  const strips = Math.max(24 * Math.ceil(packed / 6), 16 * Math.ceil(packed / 4));
  const panels = Math.ceil(Math.min(PACKED_COLUMNS, columns) / 8);
  return EDGE_BYTES + roundUp(strips * depth, 64) + 32 * panels * depth;
}

/** Scratch of rows (or columns) that are gathered before they are multiplied. */
export function gatheredBytes(rows: number, terms: number): number {
  return 4 * rows * Math.min(STRETCH, terms);
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
