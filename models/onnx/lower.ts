// From a trace to an ONNX graph: values are written when they are asked for, so that what only training needs (losses, reports)
// is never looked at.
import { openShape, patternOf, signs } from "./facts.ts";
import { createGraph, type Graph, type Name } from "./graph.ts";
import type { Lowering, Rule, Stored, Target } from "./lowering.ts";
import { keepRanked, rankInGroup } from "./capacity.ts";
import { combineRows } from "./combine.ts";
import { gatherRows, groupedMatmul } from "./one_group.ts";
import { operators } from "./operators.ts";
import { attention, rope } from "./positions.ts";
import { ONLY_FUSED } from "./quantised.ts";
import type { Step, Traced } from "./trace.ts";

const rules: Readonly<Record<string, Rule>> = {
  ...operators,
  gather_rows: gatherRows,
  grouped_matmul: groupedMatmul,
  combine_rows: combineRows,
  rank_in_group: rankInGroup,
  keep_ranked: keepRanked,
  rope,
  attention,
};

const DRAWS = "it draws random numbers";
const CAPACITY =
  "experts have room for some of a batch's tokens, and an exported model decides for each token alone; " +
  'route without a limit (capacityRule "dropless"; of top-any, capacityFactor 0)';
const MATCHES =
  "it assigns the tokens of a batch together, and an exported model decides for each token alone";

/** Why kernels have no rule; those of others are named. */
const reasons: Readonly<Record<string, string>> = {
  uniform: DRAWS,
  normal: DRAWS,
  gumbel: DRAWS,
  jitter: DRAWS,
  count_to_share: CAPACITY,
  count: CAPACITY,
  group_by: MATCHES,
  balanced_assignment: MATCHES,
  exchange_gain: MATCHES,
  quantised_matmul: ONLY_FUSED,
  hash_pairs: "it hashes pairs of tokens with a function that ONNX has no operator for",
};

/** What is lowered, and where its inputs come from. */
export interface LoweringOptions {
  readonly tokens: number;
  readonly target: Target;
  readonly longest: number;
  /** An input's value, by its name in the trace. */
  input(graph: Graph, name: string): Name;
  tokenCount(graph: Graph): Name;
  sequences(graph: Graph): { readonly count: Name; readonly length: Name };
  /** The model's memory. */
  stored(of: Traced): Stored | null;
}

/** A lowering under way; `about` says what errors name while `body` runs. */
export interface Lowered extends Lowering {
  about<T>(subject: string, body: () => T): T;
}

/** Opens a graph to lower into. */
export function createLowering(options: LoweringOptions): Lowered {
  const graph = createGraph();
  const made = new Map<Step, readonly Name[]>();
  let subject = "the model";
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot export ${subject}: ${why}`);
  };
  const value = (of: Traced): Name => {
    const { origin, type } = of;
    switch (origin.kind) {
      case "input":
        return options.input(graph, origin.name);
      case "stored":
        return storedValue(of);
      case "numbers":
        return numbers(of, origin.values);
      case "view":
        return graph.node("Reshape", [value(origin.of), graph.wholes(openShape(type.shape, options.tokens))]);
      case "made": {
        const { step, output } = origin;
        let outputs = made.get(step);
        if (!outputs) {
          const rule = rules[step.kernel] ??
            refuse(reasons[step.kernel] ?? `it uses the kernel ${step.kernel}`);
          made.set(step, outputs = rule(step, value, on));
        }
        return outputs[output] ?? refuse(`it uses what only the gradient of ${step.kernel} needs`);
      }
    }
  };
  const storedValue = (of: Traced): Name => {
    const found = options.stored(of) ?? refuse("it reads memory that is no part of the model");
    return graph.weight(found.name, found.shape, {
      length: 4 * found.shape.reduce((product, one) => product * one, 1),
      make: async () => new Uint8Array((await found.read()).buffer),
    });
  };
  const numbers = ({ type: { dtype, shape } }: Traced, values: Float32Array | Int32Array): Name => {
    const constant = dtype === "i32" ? graph.wholes : graph.floats;
    const open = openShape(shape, options.tokens);
    if (!open.includes(-1)) return constant(values, shape);
    const pattern = patternOf(values, options.tokens);
    const isSame = values.every((one) => Object.is(one, values[0]));
    if (!pattern || pattern.step !== 0 || open[0] !== -1 && !isSame) {
      return refuse("it depends on where in a batch a token stands");
    }
    const each = pattern.first.length;
    const rows = graph.node("Concat", [options.tokenCount(graph), graph.wholes([each])], {
      axis: { int: 0 },
    });
    const all = graph.node("Expand", [constant(pattern.first, [1, each]), rows]);
    return graph.node("Reshape", [all, graph.wholes(open)]);
  };
  const on: Lowered = {
    graph,
    tokens: options.tokens,
    target: options.target,
    longest: options.longest,
    value,
    stored: options.stored,
    tokenCount: () => options.tokenCount(graph),
    sequences: () => options.sequences(graph),
    isNeverNegative: signs(),
    refuse,
    about(next, body) {
      const outer = subject;
      subject = next;
      const result = body();
      subject = outer;
      return result;
    },
  };
  return on;
}
