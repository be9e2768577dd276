// Rows by their index. Among the rows of a table that is a Gather; where each token picks among rows of its own, at places that
// are the same for every token, it is a Gather along a second axis. Rows of other tokens are refused.
import { countsTokens, patternOf } from "./facts.ts";
import type { Name } from "./graph.ts";
import { type Find, type Lowering, type Rule, withoutViews } from "./lowering.ts";
import type { Traced } from "./trace.ts";

/** y[n] = x[index[n]]; zeros, or -1 among whole numbers, where the index is -1. */
export const gatherRows: Rule = ({ inputs: [x, index, scale] }, find, on) => {
  if (scale) on.refuse("it scales the rows that it gathers, which only gradients do");
  return [
    countsTokens(x.type.shape, 0, on.tokens) ? ownRows(x, index, find, on) : rowsOfTable(x, index, find, on),
  ];
};

function rowsOfTable(x: Traced, index: Traced, find: Find, on: Lowering): Name {
  const { graph } = on;
  if (on.isNeverNegative(index)) return graph.node("Gather", [find(x), find(index)]);
  const none = graph.wholes([0]);
  const rows = graph.node("Gather", [find(x), graph.node("Max", [find(index), none])]);
  const outside = graph.node("Less", [find(index), none]);
  const axes = x.type.shape.slice(1).map((_, axis) => axis + 1);
  const mask = axes.length === 0 ? outside : graph.node("Unsqueeze", [outside, graph.wholes(axes)]);
  const empty = x.type.dtype === "i32" ? graph.wholes([-1]) : graph.floats([0], [1]);
  return graph.node("Where", [mask, empty, rows]);
}

/** Token t has `own` rows of x, and reads those at `first` among them. */
function ownRows(x: Traced, index: Traced, find: Find, on: Lowering): Name {
  const { graph, tokens } = on;
  const own = x.type.shape[0] / tokens;
  const { origin } = withoutViews(index);
  const pattern = origin.kind === "numbers" ? patternOf(origin.values, tokens) : null;
  if (!pattern || pattern.step !== own || !pattern.first.every((at) => at >= 0 && at < own)) {
    return on.refuse("it reads what is known of other tokens of the batch");
  }
  const rest = x.type.shape.slice(1);
  const first = [...pattern.first];
  if (own === first.length && first.every((at, place) => at === place)) return find(x);
  const byToken = graph.node("Reshape", [find(x), graph.wholes([-1, own, ...rest])]);
  const taken = graph.node("Gather", [byToken, graph.wholes(first)], { axis: { int: 1 } });
  return graph.node("Reshape", [taken, graph.wholes([-1, ...rest])]);
}
