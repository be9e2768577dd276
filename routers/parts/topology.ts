// Where tokens come from and where experts live: what a router may know of the machine it runs on. Plain data, so that
// one process can route as if it were many ranks.
import type { Sequences } from "../../tensor/sequences.ts";

/** Ranks, the nodes they sit in, the home of each token and the place of each expert. */
export interface Topology {
  /** Ranks R; 1 when everything is in one place. */
  readonly ranks: number;
  /** Rank each token comes from, T numbers below R. */
  readonly homeRank_T: Int32Array;
  /** Rank each expert lives on, E numbers below R. */
  readonly rankOfExpert_E: Int32Array;
  /** Node each rank sits in, R numbers from 0. */
  readonly nodeOfRank_R: Int32Array;
}

/** What {@linkcode layOut} lays out. */
export interface TopologyShape {
  /** Sequences of tokens; none is split. */
  readonly sequences: Sequences;
  /** Number of experts. */
  readonly E: number;
  /** Number of ranks. */
  readonly ranks: number;
  /** Ranks that share a node. */
  readonly ranksPerNode: number;
}

/**
 * The plain layout: sequences in equal blocks over ranks, experts in equal blocks over ranks, ranks in blocks over
 * nodes. With fewer experts or sequences than ranks, some ranks have none.
 * @throws {RangeError} when ranks or ranks per node are no whole numbers from 1.
 * @example
 * ```ts
 * import { equalSequences, layOut } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const topology = layOut({ sequences: equalSequences(2, 3), E: 4, ranks: 2, ranksPerNode: 1 });
 * assertEquals(topology.homeRank_T, Int32Array.of(0, 0, 0, 1, 1, 1));
 * assertEquals(topology.rankOfExpert_E, Int32Array.of(0, 0, 1, 1));
 * ```
 */
export function layOut({ sequences, E, ranks, ranksPerNode }: TopologyShape): Topology {
  for (const [what, value] of [["ranks", ranks], ["ranks per node", ranksPerNode]] as const) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`Cannot lay out a model over ${value} ${what}: choose a whole number from 1`);
    }
  }
  return {
    ranks,
    homeRank_T: homesOf(sequences, ranks),
    rankOfExpert_E: Int32Array.from({ length: E }, (_, e) => blockOf(e, E, ranks)),
    nodeOfRank_R: Int32Array.from({ length: ranks }, (_, r) => Math.floor(r / ranksPerNode)),
  };
}

/** Rank of every token: that of its sequence. */
function homesOf({ T, B, offset_B1 }: Sequences, ranks: number): Int32Array {
  const homeRank_T = new Int32Array(T);
  for (let b = 0; b < B; b++) homeRank_T.fill(blockOf(b, B, ranks), offset_B1[b], offset_B1[b + 1]);
  return homeRank_T;
}

/** Block of one of `count` things cut into `blocks` blocks whose sizes differ by one at most. */
function blockOf(at: number, count: number, blocks: number): number {
  return Math.floor(at * blocks / count);
}

/**
 * Everything on one rank: what holds when a step says nothing.
 * @example
 * ```ts
 * import { oneRank } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(oneRank(2, 3).rankOfExpert_E, Int32Array.of(0, 0, 0));
 * ```
 */
export function oneRank(T: number, E: number): Topology {
  const onFirst = (count: number) => new Int32Array(count);
  return { ranks: 1, homeRank_T: onFirst(T), rankOfExpert_E: onFirst(E), nodeOfRank_R: onFirst(1) };
}

/** How near counts as local: on the token's own rank, or on any rank of its node. */
export type Nearness = "rank" | "node";

/**
 * Whether an expert is local to tokens of a rank.
 * @example
 * ```ts
 * import { equalSequences, isLocal, layOut } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const topology = layOut({ sequences: equalSequences(4, 1), E: 4, ranks: 4, ranksPerNode: 2 });
 * assertEquals([isLocal(topology, 0, 1, "rank"), isLocal(topology, 0, 1, "node")], [false, true]);
 * ```
 */
export function isLocal(topology: Topology, rank: number, expert: number, nearness: Nearness): boolean {
  const home = topology.rankOfExpert_E[expert];
  return nearness === "rank" ? home === rank : topology.nodeOfRank_R[home] === topology.nodeOfRank_R[rank];
}

/**
 * Share of assignments whose expert is local to the token's rank, -1 left out; null when all are.
 * @example
 * ```ts
 * import { equalSequences, layOut, localShareOf } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const topology = layOut({ sequences: equalSequences(2, 1), E: 2, ranks: 2, ranksPerNode: 1 });
 * assertEquals(localShareOf(topology, Int32Array.of(0, 1), Int32Array.of(0, 0), "node"), 0.5);
 * ```
 */
export function localShareOf(
  topology: Topology,
  token_N: Int32Array,
  expert_N: Int32Array,
  nearness: Nearness,
): number | null {
  let [local, all] = [0, 0];
  for (let n = 0; n < expert_N.length; n++) {
    if (expert_N[n] < 0) continue;
    all++;
    if (isLocal(topology, topology.homeRank_T[token_N[n]], expert_N[n], nearness)) local++;
  }
  return all === 0 ? null : local / all;
}
