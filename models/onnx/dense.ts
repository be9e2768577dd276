// A mixture without sizes that depend on data: every expert computes on every token, and weights of 0 take out what was not
// chosen. E / K times the work, all of it in products that a GPU is good at.
import type { Name } from "./graph.ts";
import type { Lowering } from "./lowering.ts";
import type { Mixture } from "./mixture.ts";
import { spread } from "./operators.ts";
import { findRows, type RowSpace, rowTest } from "./rows.ts";

/** Writes a mixture as [E, T, D] products. */
export function dense(mixture: Mixture, on: Lowering): Name {
  const { graph } = on;
  const { E, expert_TK, weight_TK, rows, base } = mixture;
  const space: RowSpace = {
    rowsOf: (x) => x,
    matrix: (weight) => on.value(weight),
    bias: (bias) => graph.node("Unsqueeze", [on.value(bias), graph.wholes([1])]),
    shape: (open) => [E, ...open],
  };
  const given_ETD = findRows(space, rowTest(mixture.grouping), on)(rows);
  const weight_ET = graph.node("Transpose", [spread(graph, expert_TK, weight_TK, E)], {
    perm: { ints: [1, 0] },
  });
  const weight_ET1 = graph.node("Unsqueeze", [weight_ET, graph.wholes([2])]);
  const sum = graph.node("ReduceSum", [graph.node("Mul", [given_ETD, weight_ET1]), graph.wholes([0])], {
    keepdims: { int: 0 },
  });
  return base ? graph.node("Add", [base, sum]) : sum;
}
