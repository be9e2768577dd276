// Which WGSL computes a matrix product on a GPU: the one place where tile shapes are chosen. Two tiles, for hardware and
// for adapters that compute on the CPU, and two ways to load, each a file; a program is one of each and the kernel's own.
import type { GpuFacts } from "./kernel.ts";
import block from "./block.wgsl" with { type: "text" };
import quads from "./quads.wgsl" with { type: "text" };
import singles from "./singles.wgsl" with { type: "text" };
import strip from "./strip.wgsl" with { type: "text" };
import tile from "./tile.wgsl" with { type: "text" };

/** The four programs of a product. */
export interface ProductPrograms {
  readonly all: readonly string[];
  /**
   * The program for an adapter and for rows of these lengths (both operands' as stored, and the result's), with how many
   * rows and columns of the result a workgroup takes.
   */
  choose(rowLengths: readonly number[], facts: GpuFacts): ProductChoice;
}

/** A program and the tile of a workgroup. */
export interface ProductChoice {
  readonly program: string;
  readonly tileRows: number;
  readonly tileColumns: number;
}

/** The programs of a kernel whose own file is `own`. */
export function productPrograms(own: string): ProductPrograms {
  const programs = {
    hardware: { quads: block + tile + quads + own, singles: block + tile + singles + own },
    software: { quads: block + strip + quads + own, singles: block + strip + singles + own },
  };
  return {
    all: Object.values(programs).flatMap((each) => Object.values(each)),
    choose(rowLengths, { software }) {
      const loads = rowLengths.every((length) => length % 4 === 0) ? "quads" : "singles";
      return software
        ? { program: programs.software[loads], tileRows: 16, tileColumns: 128 }
        : { program: programs.hardware[loads], tileRows: 64, tileColumns: 64 };
    },
  };
}
