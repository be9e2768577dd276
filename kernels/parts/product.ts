// Which WGSL computes a matrix product on a GPU: the one place where tile shapes are chosen. Two tiles, for hardware and
// for adapters that compute on the CPU, and two ways to load (two more where some arrays are f16, or B is in a format of weights), each a file; a program
// is one of each, the kernel's own, and what else it does (`plain.wgsl`: nothing).
import { checkTrips } from "./grid.ts";
import type { GpuFacts } from "../kernel.ts";
import block from "./block.wgsl" with { type: "text" };
import half from "./half.wgsl" with { type: "text" };
import mixedQuads from "./mixed_quads.wgsl" with { type: "text" };
import mixedSingles from "./mixed_singles.wgsl" with { type: "text" };
import plain from "./plain.wgsl" with { type: "text" };
import quads from "./quads.wgsl" with { type: "text" };
import quadsOfB from "./quads_of_b.wgsl" with { type: "text" };
import singleResults from "./single_results.wgsl" with { type: "text" };
import singles from "./singles.wgsl" with { type: "text" };
import singlesOfB from "./singles_of_b.wgsl" with { type: "text" };
import storedB from "./stored_b.wgsl" with { type: "text" };
import strip from "./strip.wgsl" with { type: "text" };
import tile from "./tile.wgsl" with { type: "text" };

/** The four programs of a product. */
export interface ProductPrograms {
  readonly all: readonly string[];
  /**
   * The program for an adapter and for rows of these lengths (both operands' as stored, and the result's), with how many
   * rows and columns of the result a workgroup takes.
   */
  choose(rowLengths: readonly number[], sums: ProductSums, facts: GpuFacts): ProductChoice;
}

/** What a workgroup goes through: terms of a sum at most, and groups to look for its own in. */
export interface ProductSums {
  readonly terms: number;
  readonly groups?: number;
}

/** A program and the tile of a workgroup. */
export interface ProductChoice {
  readonly program: string;
  readonly tileRows: number;
  readonly tileColumns: number;
  /** True when rows are read and written by fours. */
  readonly quads: boolean;
}

/** Terms strip.wgsl adds in one trip of its loop. */
const TERMS_A_TRIP = 4;

/** How arrays are read and written: all f32, some f16 as the programs' constants say, or B in a format of weights. */
const loads = {
  full: { quads: quads + quadsOfB, singles: singleResults + singles + singlesOfB },
  stored: { quads: quads + storedB, singles: singleResults + singles + storedB },
  mixed: { quads: half + mixedQuads, singles: singleResults + mixedSingles },
};

/** The programs of the kernel `name` whose own file is `own`; `besides` replaces plain.wgsl. */
export function productPrograms(
  name: string,
  own: string,
  besides: string = plain,
  types: keyof typeof loads = "full",
): ProductPrograms {
  const { quads, singles } = loads[types];
  const rest = besides + own;
  const programs = {
    hardware: { quads: block + tile + quads + rest, singles: block + tile + singles + rest },
    software: { quads: block + strip + quads + rest, singles: block + strip + singles + rest },
  };
  return {
    all: Object.values(programs).flatMap((each) => Object.values(each)),
    choose(rowLengths, { terms, groups = 0 }, facts) {
      const quads = rowLengths.every((length) => length % 4 === 0);
      const by = quads ? "quads" : "singles";
      if (!facts.software) return { program: programs.hardware[by], quads, tileRows: 64, tileColumns: 64 };
      checkTrips(name, `sums of ${terms} terms`, groups + Math.ceil(terms / TERMS_A_TRIP) + 2, facts);
      return { program: programs.software[by], quads, tileRows: 16, tileColumns: 128 };
    },
  };
}
