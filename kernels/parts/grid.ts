// Grids of workgroups on a GPU: how work is spread, and how a long list of workgroups folds into two dimensions where one
// dimension is too short for it. Programs count `group.y * groups.x + group.x`.
import type { GpuFacts } from "../kernel.ts";

/** Invocations of a workgroup in programs that treat every element alike. */
const INVOCATIONS = 256;
/** Rows of up to this many columns are taken by one invocation each, longer ones by a workgroup. */
const NARROW = 32;
/** The same where barriers cost most: a program goes over a row three times, and lavapipe ends loops after 65,535 trips. */
const NARROW_ON_SOFTWARE = 16_384;

/** lavapipe ends an invocation's loops, in silence, when they have made this many trips in all. */
export const MOST_TRIPS = 65535;

/**
 * Refuses work that takes an invocation more trips through its loops than software adapters make.
 * @param trips Of all loops together; leaving a loop is one too.
 */
export function checkTrips(kernel: string, work: string, trips: number, { software }: GpuFacts): void {
  if (!software || trips <= MOST_TRIPS) return;
  throw new RangeError(
    `Cannot run ${kernel}: ${work} take ${trips} trips through a loop, software adapters make at most ${MOST_TRIPS}`,
  );
}

/** Workgroups in a list as a grid of at least that many. */
export function grid(workgroups: number, { workgroupsPerDimension }: GpuFacts): [number, number, number] {
  const rows = Math.ceil(workgroups / workgroupsPerDimension);
  return rows <= 1 ? [workgroups, 1, 1] : [Math.ceil(workgroups / rows), rows, 1];
}

/** One invocation for each of `count`. */
export function forEach(count: number, facts: GpuFacts): [number, number, number] {
  return grid(Math.ceil(count / INVOCATIONS), facts);
}

/** Groups of four elements, the last one perhaps with room to spare: blocks of memory end on such a group. */
export function quads(elements: number): number {
  return Math.ceil(elements / 4);
}

/** Entry point and grid of a program that treats rows: `narrow` or `wide`. */
export function forRows(rows: number, columns: number, facts: GpuFacts) {
  return columns <= (facts.software ? NARROW_ON_SOFTWARE : NARROW)
    ? { entry: "narrow", workgroups: forEach(rows, facts) }
    : { entry: "wide", workgroups: grid(rows, facts) };
}
