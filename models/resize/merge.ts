// Which experts to merge, and with what weights: groups by average linkage (HC-SMoE, Chen et al. 2024), members weighed by how
// often they are used (M-SMoE, Li et al. 2023, and HC-SMoE).
import type { Mix } from "./axes.ts";
import type { ObservedExperts } from "./observe.ts";
import { checkCount } from "./prune.ts";

/** What experts are compared by: their mean outputs over all tokens (HC-SMoE), or their parameters. */
export const mergeFeatures = ["outputs", "weights"] as const;

/** Name of one of {@linkcode mergeFeatures}. */
export type MergeFeature = typeof mergeFeatures[number];

/**
 * Groups of rows: the two groups whose rows are nearest on average (Euclidean) are joined until `count` are left. Groups and
 * their members are in order; among equally near pairs the first is joined.
 * @example
 * ```ts
 * import { groupsOf } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * assertEquals(groupsOf([[0], [10], [1], [12]], 2), [[0, 2], [1, 3]]);
 * ```
 */
export function groupsOf(rows: readonly ArrayLike<number>[], count: number): number[][] {
  const distance = rows.map((a) => rows.map((b) => distanceOf(a, b)));
  const groups = rows.map((_, row) => [row]);
  while (groups.length > Math.max(1, count)) {
    let nearest: { readonly a: number; readonly b: number; readonly mean: number } | null = null;
    for (let a = 0; a < groups.length; a++) {
      for (let b = a + 1; b < groups.length; b++) {
        const between = groups[a].flatMap((one) => groups[b].map((other) => distance[one][other]));
        const mean = between.reduce((sum, each) => sum + each, 0) / between.length;
        if (!nearest || mean < nearest.mean) nearest = { a, b, mean };
      }
    }
    const { a, b } = nearest!;
    const [joining] = groups.splice(b, 1);
    groups[a] = [...groups[a], ...joining].sort((one, other) => one - other);
  }
  return groups.sort(([a], [b]) => a - b);
}

function distanceOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] - b[at]) ** 2;
  return Math.sqrt(sum);
}

/**
 * Experts merged into `count`: each group becomes the mean of its members, weighed by the tokens they kept, or evenly where
 * they kept none. Shared experts are left as they are.
 * @param features A row for each expert, that they are compared by.
 * @throws {RangeError} when there are not so many, or fewer than are shared.
 * @example
 * ```ts
 * import { mergedExperts } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * const observed = { layer: 1, shared: 0, load: [3, 5, 1], saliency: [], outputs: [[0], [9], [1]] };
 * assertEquals(mergedExperts(observed, observed.outputs, 2), [[[0, 0.75], [2, 0.25]], [[1, 1]]]);
 * ```
 */
export function mergedExperts(
  observed: ObservedExperts,
  features: readonly ArrayLike<number>[],
  count: number,
): Mix {
  const { layer, shared, load } = observed;
  checkCount(count, { layer, shared, E: features.length }, "merge into");
  const own = Array.from({ length: shared }, (_, e) => [e]);
  const groups = groupsOf(features.slice(shared), count - shared).map((group) =>
    group.map((e) => e + shared)
  );
  return [...own, ...groups].map((group) => {
    const total = group.reduce((sum, e) => sum + load[e], 0);
    return group.map((e) => [e, total === 0 ? 1 / group.length : load[e] / total] as const);
  });
}
