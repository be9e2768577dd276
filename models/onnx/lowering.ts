// What every rule that turns a kernel into ONNX operators is given.
import type { Graph, Name } from "./graph.ts";
import type { Step, Traced } from "./trace.ts";

/** How a mixture's experts are written. */
export type Target = "fused" | "portable" | "dense";

/** Every way to write them. */
export const targets: readonly Target[] = ["fused", "portable", "dense"];

/** A graph that a trace is written into. */
export interface Lowering {
  readonly graph: Graph;
  /** Tokens in the trace: a size that is a multiple of it is open. */
  readonly tokens: number;
  readonly target: Target;
  /** The value's name in the graph; what makes it is written when it is first asked for. */
  value(of: Traced): Name;
  /** Weights of the model by name and values, or null for what is no memory of the model. */
  stored(of: Traced): Stored | null;
  /** Number of tokens, whole number [1]. */
  tokenCount(): Name;
  /** Sequences and tokens of each, whole numbers [1]. */
  sequences(): { readonly count: Name; readonly length: Name };
  /** Longest sequence that positions are stored for. */
  readonly longest: number;
  isNeverNegative(value: Traced): boolean;
  /** Ends the export with a reason. */
  refuse(why: string): never;
}

/** Memory of the model. */
export interface Stored {
  readonly name: Name;
  readonly shape: readonly number[];
  read(): Promise<Float32Array>;
}

/** Finds an input's name where a rule is applied: among tokens, or among the rows of experts. */
export type Find = (value: Traced) => Name;

/** Writes a step's operators; gives the names of its outputs, as many of them as there are. */
export type Rule = (step: Step, find: Find, on: Lowering) => readonly Name[];

/** What a value is once its views are taken off. */
export function withoutViews(value: Traced): Traced {
  return value.origin.kind === "view" ? withoutViews(value.origin.of) : value;
}

/** The step that made a value or what it is a view of, if one did. */
export function makerOf(value: Traced): { readonly step: Step; readonly output: number } | null {
  const { origin } = withoutViews(value);
  return origin.kind === "made" ? origin : null;
}
