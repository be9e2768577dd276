// What this machine was seen to do at most, and how long a call takes at that: the longer of its arithmetic at the peak
// and its bytes at the bandwidth of the smallest working set that holds them (Williams, Waterman and Patterson 2009).
import type { Cost } from "../../kernels/kernel.ts";
import { type Peak, workingSets } from "./peak.ts";
import type { Row } from "../rows.ts";

/** The most that as many threads were seen to do. */
export interface Roof {
  readonly flopPerSecond: number;
  /** Bytes a second by working set, smallest first. */
  readonly bandwidths: readonly { readonly bytes: number; readonly bytesPerSecond: number }[];
}

/** As shown: `512 KiB`, `256 MiB`. */
export function bytesText(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes / 2 ** 10} KiB` : `${bytes / 2 ** 20} MiB`;
}

/** One reading of every roof, by name. */
export function readRoofs(peak: Peak, threads: number): Record<string, Record<string, number>> {
  return {
    ...Object.fromEntries(
      peak.loops.map((loop) => [`${loop} multiply-add`, { flopPerSecond: peak.measure(loop, threads) }]),
    ),
    ...Object.fromEntries(
      workingSets.map((bytes) => [bytesText(bytes), { bytesPerSecond: peak.bandwidth(bytes, threads) }]),
    ),
  };
}

/** The roof of a device from its rows, the best of all rounds; null where none was measured. */
export function roofOf(rows: readonly Row[], on: string): Roof | null {
  const mine = rows.filter((row) => row.group === "roof" && row.on === on);
  if (mine.length === 0) return null;
  return {
    flopPerSecond: Math.max(...mine.map(({ figures }) => figures.flopPerSecond?.most ?? 0)),
    bandwidths: workingSets.map((bytes) => ({
      bytes,
      bytesPerSecond: mine.find(({ name }) => name === bytesText(bytes))!.figures.bytesPerSecond.most,
    })),
  };
}

/** Seconds a call takes at least. */
export function leastSeconds({ flopPerSecond, bandwidths }: Roof, { flop, bytes }: Cost): number {
  const fitting = bandwidths.find((each) => bytes <= each.bytes) ?? bandwidths[bandwidths.length - 1];
  return Math.max(flop / flopPerSecond, bytes / fitting.bytesPerSecond);
}
