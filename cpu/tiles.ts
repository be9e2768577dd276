// Which register tile products take. Results are the same bits with each, so the faster one can be found while a program
// works: each shape's products take turns, and the tile whose least times add up to less is kept.
import type { Launch } from "./launches.ts";

/** Rows and columns of a product that stay in registers while it goes along its terms. */
export type Tile = "6x8" | "4x8";

/** All tiles; a tile's number is its place here. */
export const tiles: readonly Tile[] = ["6x8", "4x8"];

/** Programs that end in gemm and in little else. */
const PRODUCTS: ReadonlySet<string> = new Set(["matmul", "groupedMatmul", "groupedWeightGradient"]);
/** Runs of a shape with each tile, from which on its least times count: the first ones run before engines optimise. */
const RUNS = 20;
/** Milliseconds of products that count, after which the choice is made. */
const ENOUGH = 10;
/** Runs after which a program whose shapes do not come back has chosen nothing, and stays with the first. */
const MOST_RUNS = 4000;

/** What a shape's products took, by tile, in milliseconds. */
interface Times {
  runs: number;
  readonly least: [number, number];
}

/** The choice of one backend. */
export interface TileChoice {
  /** The tile that was chosen; null while it is being measured. */
  chosen(): Tile | null;
  /** Number of the tile that a launch is to take now. */
  next(program: string, launch: Launch): number;
  /** What a launch took whose tile `next` gave, where `chosen` is null. */
  took(program: string, launch: Launch, milliseconds: number): void;
}

/** A choice that is still open, or `fixed`. */
export function chooseTile(fixed: Tile | undefined): TileChoice {
  let at = fixed === undefined ? 0 : tiles.indexOf(fixed);
  if (at < 0) {
    throw new RangeError(`Cannot multiply with tile "${fixed}": choose ${tiles.join(" or ")}`);
  }
  let measuring = fixed === undefined;
  let runs = 0;
  let times = new Map<Launch, Times>();

  function settle(): void {
    const sums = [0, 0];
    for (const { runs, least } of times.values()) {
      if (runs >= 2 * RUNS) least.forEach((each, tile) => sums[tile] += each * runs);
    }
    if (runs < MOST_RUNS && Math.min(...sums) < ENOUGH) return;
    at = sums[1] < sums[0] ? 1 : 0;
    measuring = false;
    times = new Map();
  }

  return {
    chosen: () => measuring ? null : tiles[at],
    next: (program, launch) => measuring && PRODUCTS.has(program) ? (times.get(launch)?.runs ?? 0) % 2 : at,
    took(program, launch, milliseconds) {
      if (!PRODUCTS.has(program)) return;
      let own = times.get(launch);
      if (!own) times.set(launch, own = { runs: 0, least: [Infinity, Infinity] });
      const tile = own.runs++ % 2;
      own.least[tile] = Math.min(own.least[tile], milliseconds);
      if (++runs % 64 === 0) settle();
    },
  };
}
