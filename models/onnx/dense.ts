// A mixture without sizes that depend on data: every expert computes on every token, and weights of 0 take out what was not
// chosen. E / K times the work, all of it in products that a GPU is good at.
import type { Name } from "./graph.ts";
import type { Lowering } from "./lowering.ts";
import type { Mixture } from "./mixture.ts";
import { spread } from "./operators.ts";
import { findRows, type RowSpace } from "./rows.ts";

/** Writes a mixture as [E, T, D] products. */
export function dense(mixture: Mixture, on: Lowering): Name {
  const { graph } = on;
  const { E, expert_TK, weight_TK, rows, base } = mixture;
  const given_ETD = findRows(mixture.grouping, E, everyRow(E, on), on)(rows);
  const weight_ET = graph.node("Transpose", [spread(graph, expert_TK, weight_TK, E)], {
    perm: { ints: [1, 0] },
  });
  const weight_ET1 = graph.node("Unsqueeze", [weight_ET, graph.wholes([2])]);
  const sum = graph.node("ReduceSum", [graph.node("Mul", [given_ETD, weight_ET1]), graph.wholes([0])], {
    keepdims: { int: 0 },
  });
  return base ? graph.node("Add", [base, sum]) : sum;
}

/** Values are [n, T, ...] for the n experts that weights are of, or [1, T, ...] where they are the same for all. */
function everyRow(E: number, on: Lowering): RowSpace {
  const { graph } = on;
  const numbers = Float64Array.from({ length: E }, (_, e) => e);
  return {
    key: graph.wholes(numbers, [E, 1]),
    rowsOf: (x) => graph.node("Unsqueeze", [x, graph.wholes([0])]),
    product(rows, weight, bias) {
      const sum = graph.node("MatMul", [rows, on.value(weight)]);
      return bias
        ? graph.node("Add", [sum, graph.node("Unsqueeze", [on.value(bias), graph.wholes([1])])])
        : sum;
    },
    only(made, from, to) {
      const each = graph.node("Expand", [made(), graph.wholes([Math.max(...from) + 1, 1, 1])]);
      const own = Array.from({ length: Math.max(...to) + 1 }, (_, expert) => from[to.indexOf(expert)]);
      const all = graph.node("Gather", [each, graph.wholes(own.map((one) => Math.max(one, 0)))]);
      const mask = graph.floats(own.map((one) => Number(one >= 0)), [own.length, 1, 1]);
      return graph.node("Where", [
        graph.node("Cast", [mask], { to: { int: 9 } }),
        all,
        graph.floats([0], [1]),
      ]);
    },
    shape: (open) => [0, ...open],
    combine: null,
  };
}
