// What a layer reports: load before and after capacity and what was dropped, computed on the host from the routing of
// one step. Padding appears in no number, because routers give it no expert.
import * as kernels from "../kernels/mod.ts";
import { localShareOf, type Topology } from "../routers/parts/topology.ts";
import type { Sequences } from "../tensor/sequences.ts";
import { apply, type Tensor } from "../tensor/tensor.ts";

/** Mean entropy per real token of a router's distribution, nats, shape [1]. */
export function gateEntropy(probability_TE: Tensor, real_T?: Tensor): Tensor {
  return apply(kernels.meanEntropy, [probability_TE, ...(real_T ? [real_T] : [])], {})[0];
}

/** A step's routing, read back. */
export interface RoutingValues {
  /** Number of experts. */
  readonly E: number;
  /** Expert that each assignment asked for, before capacity; -1 = none. */
  readonly wanted_N: Int32Array;
  /** Expert that kept it, after capacity; -1 = none. */
  readonly expert_N: Int32Array;
  /** K when assignments are token-major [T, K]. */
  readonly choices: number | null;
  /** Mean entropy of the gate per token, nats, where the router has a distribution. */
  readonly gateEntropy: number | null;
  /** Token of each assignment and where it comes from, for the local shares. */
  readonly home?: { readonly token_N: Int32Array; readonly topology: Topology };
  /** First experts that every token goes to: counted, but left out of the measures of balance. */
  readonly shared?: number;
}

/** Load of one layer in one step: real tokens only, shares of what was wanted, 0 to 1. */
export interface Load {
  /** Assignments each expert was asked to take, before capacity. */
  readonly wanted: readonly number[];
  /** Assignments each expert kept, after capacity. */
  readonly kept: readonly number[];
  /** Assignments dropped over assignments wanted. */
  readonly droppedShare: number;
  /** The same by choice: first choices, second choices, ... */
  readonly droppedShareByChoice: readonly number[];
  /** Mean entropy of the router's distribution over experts per token, in nats; null for a router without one. */
  readonly gateEntropy: number | null;
  /** Entropy of the wanted load over experts divided by log E: 1 = even (or one expert), 0 = all to one. */
  readonly loadEntropy: number;
  /** Standard deviation over mean of the wanted load (population). */
  readonly coefficientOfVariation: number;
  /** Largest wanted load over the mean. */
  readonly maxOverMean: number;
  /** Experts that no token wanted. */
  readonly deadExperts: number;
  /**
   * Share of wanted assignments on the token's own node; null on one rank or with nothing wanted. Not of kept ones: drops by
   * position spare the tokens of low ranks.
   */
  readonly localShare?: number | null;
  /** The same on the token's own rank. */
  readonly rankLocalShare?: number | null;
  /** First experts that every token goes to, which the measures of balance leave out; absent where there are none. */
  readonly shared?: number;
}

/**
 * Summarises a step's routing, on the host.
 * @example
 * ```ts
 * import { loadOf } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const load = loadOf({
 *   E: 2,
 *   wanted_N: Int32Array.of(0, 0, 0, 1),
 *   expert_N: Int32Array.of(0, 0, -1, 1),
 *   choices: 1,
 *   gateEntropy: null,
 * });
 * assertEquals([load.wanted, load.kept], [[3, 1], [2, 1]]);
 * assertEquals([load.droppedShare, load.maxOverMean, load.deadExperts], [0.25, 1.5, 0]);
 * ```
 */
export function loadOf(values: RoutingValues): Load {
  const { E, wanted_N, expert_N, choices } = values;
  const wanted = new Array<number>(E).fill(0);
  const kept = new Array<number>(E).fill(0);
  const K = choices ?? 1;
  const wantedByChoice = new Array<number>(K).fill(0);
  const droppedByChoice = new Array<number>(K).fill(0);
  for (let n = 0; n < wanted_N.length; n++) {
    if (wanted_N[n] >= 0) {
      wanted[wanted_N[n]]++;
      wantedByChoice[n % K]++;
      if (expert_N[n] < 0) droppedByChoice[n % K]++;
    }
    if (expert_N[n] >= 0) kept[expert_N[n]]++;
  }
  const { shared = 0 } = values;
  const routed = wanted.slice(shared);
  const total = sum(routed);
  const mean = total / routed.length;
  const variance = sum(routed.map((load) => (load - mean) ** 2)) / routed.length;
  const entropy = -sum(routed.map((load) => load === 0 ? 0 : load / total * Math.log(load / total)));
  return {
    wanted,
    kept,
    droppedShare: share(sum(droppedByChoice), sum(wanted)),
    droppedShareByChoice: droppedByChoice.map((dropped, choice) => share(dropped, wantedByChoice[choice])),
    gateEntropy: values.gateEntropy,
    loadEntropy: routed.length === 1 || total === 0 ? 1 : entropy / Math.log(routed.length),
    coefficientOfVariation: share(Math.sqrt(variance), mean),
    maxOverMean: share(Math.max(...routed), mean),
    deadExperts: routed.filter((load) => load === 0).length,
    localShare: near(values, "node"),
    rankLocalShare: near(values, "rank"),
    ...(shared > 0 ? { shared } : {}),
  };
}

function near({ home, wanted_N }: RoutingValues, nearness: "node" | "rank"): number | null {
  if (!home || home.topology.ranks === 1) return null;
  return localShareOf(home.topology, home.token_N, wanted_N, nearness);
}

/**
 * Wanted and dropped assignments by position in the sequence, added to running counts.
 * @throws {RangeError} when a sequence is longer than the counts.
 */
export function countDropsByPosition(
  values: RoutingValues,
  token_N: Int32Array,
  { longest, position_T }: Sequences,
  counts: { readonly wanted: Float64Array; readonly dropped: Float64Array },
): void {
  if (longest > counts.wanted.length) {
    throw new RangeError(
      `Cannot count drops by position: a sequence has ${longest} tokens, there is room for ${counts.wanted.length}`,
    );
  }
  for (let n = 0; n < values.wanted_N.length; n++) {
    if (values.wanted_N[n] < 0) continue;
    const position = position_T[token_N[n]];
    counts.wanted[position]++;
    if (values.expert_N[n] < 0) counts.dropped[position]++;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
