// A mixture as a trace shows it: what its router decided and what its experts gave, before a target is chosen.
import type { Name } from "./graph.ts";
import type { Step, Traced } from "./trace.ts";

/** Who chose whom. */
export interface Mixture {
  readonly E: number;
  /** Choices of a token. */
  readonly K: number;
  /** Experts [T, K], -1 for none. */
  readonly expert_TK: Name;
  /** Weights [T, K]. */
  readonly weight_TK: Name;
  /** Whether no weight can be below 0. */
  readonly isNeverNegative: boolean;
  /** The step that sorted assignments by expert. */
  readonly grouping: Step;
  /** What experts gave, in that order. */
  readonly rows: Traced;
  /** What the sum is added to. */
  readonly base: Name | null;
  readonly D: number;
}
