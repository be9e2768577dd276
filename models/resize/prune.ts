// Which experts to keep when some have to go.
import type { ObservedExperts } from "./observe.ts";

/** What experts are kept by: the tokens they kept, or REAP's saliency. */
export const pruneScores = ["load", "saliency"] as const;

/** Name of one of {@linkcode pruneScores}. */
export type PruneScore = typeof pruneScores[number];

/**
 * The experts that score highest, in their order; among equals the first. Shared experts are kept whatever they score.
 * @param keep How many.
 * @throws {RangeError} when there are not so many, or fewer than are shared.
 * @example
 * ```ts
 * import { bestExperts } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * const observed = { layer: 1, shared: 0, load: [5, 0, 7, 5], saliency: [1, 0, 2, 3], outputs: [] };
 * assertEquals(bestExperts(observed, "load", 2), [0, 2]);
 * assertEquals(bestExperts(observed, "saliency", 2), [2, 3]);
 * ```
 */
export function bestExperts(observed: ObservedExperts, by: PruneScore, keep: number): number[] {
  const { layer, shared } = observed;
  const score = observed[by];
  checkCount(keep, { layer, shared, E: score.length }, "keep");
  const rank = (e: number) => e < shared ? Infinity : score[e];
  return Array.from(score, (_, e) => e).sort((a, b) => rank(b) === rank(a) ? a - b : rank(b) - rank(a))
    .slice(0, keep).sort((a, b) => a - b);
}

/** @throws {RangeError} when a layer cannot have so many experts of those it has. */
export function checkCount(
  count: number,
  { layer, shared, E }: { readonly layer: number; readonly shared: number; readonly E: number },
  what: string,
): void {
  const least = Math.max(1, shared + (shared < E ? 1 : 0));
  if (Number.isInteger(count) && count >= least && count <= E) return;
  throw new RangeError(
    `Cannot ${what} ${count} experts in layer ${layer}: it has ${E}; choose a whole number from ${least} to ${E}`,
  );
}
