// A mixture whose experts hold mixtures of their own: rows are assignments as tokens have them, [T K], for whom the inner mixture
// is one like any other. Products of the outer experts (their gates) are made with every expert's matrix, and all but the row's
// own taken out.
import type { Name } from "./graph.ts";
import type { Find, Lowering } from "./lowering.ts";
import type { Mixture } from "./mixture.ts";
import { spread } from "./operators.ts";
import { findRows, type RowSpace } from "./rows.ts";
import type { Step } from "./trace.ts";

/** Writes sums of rows inside experts. */
export type Combine = (step: Step, find: Find, on: Lowering) => Name;

/** Writes a mixture assignment by assignment. */
export function byAssignment(mixture: Mixture, on: Lowering, combine: Combine): Name {
  const { graph } = on;
  const { E, K, D, expert_TK, weight_TK, rows, base } = mixture;
  const given_ND = findRows(mixture.grouping, E, assignments(mixture, on, combine), on)(rows);
  const given_TKD = graph.node("Reshape", [given_ND, graph.wholes([-1, K, D])]);
  const isChosen = graph.node("GreaterOrEqual", [expert_TK, graph.wholes([0])]);
  const weight = graph.node("Where", [isChosen, weight_TK, graph.floats([0], [1])]);
  const weight_TK1 = graph.node("Unsqueeze", [weight, graph.wholes([2])]);
  const sum = graph.node("ReduceSum", [graph.node("Mul", [given_TKD, weight_TK1]), graph.wholes([1])], {
    keepdims: { int: 0 },
  });
  return base ? graph.node("Add", [base, sum]) : sum;
}

/** Rows of assignments: row t K + k is of token t. */
export function assignments({ E, K, expert_TK }: Mixture, on: Lowering, combine: Combine): RowSpace {
  const { graph } = on;
  const key = graph.node("Reshape", [expert_TK, graph.wholes([-1])]);
  const column = graph.node("Unsqueeze", [key, graph.wholes([1])]);
  const ones = graph.node("Expand", [graph.floats([1], [1, 1]), graph.node("Shape", [column])]);
  /** [n, N, 1]: 1 where a row's expert has that number. */
  const chosen = (n: number, own: readonly number[]) => {
    const isSame = n === E && own.every((one, e) => one === e);
    const number = isSame ? column : graph.node("Gather", [graph.wholes([...own, -1]), column]);
    const chosen_Nn = spread(graph, number, ones, n);
    return graph.node("Unsqueeze", [
      graph.node("Transpose", [chosen_Nn], { perm: { ints: [1, 0] } }),
      graph.wholes([2]),
    ]);
  };
  return {
    key,
    rowsOf(x) {
      const rows = graph.node("Unsqueeze", [x, graph.wholes([1])]);
      const each = graph.node("Expand", [rows, graph.wholes([1, K, 1])]);
      return graph.node("Reshape", [
        each,
        graph.node("Concat", [graph.wholes([-1]), lastSize(x)], { axis: { int: 0 } }),
      ]);
    },
    product(rows, weight, bias, own) {
      const n = weight.type.shape[0];
      const sum = graph.node("MatMul", [rows, on.value(weight)]);
      const moved = bias
        ? graph.node("Add", [sum, graph.node("Unsqueeze", [on.value(bias), graph.wholes([1])])])
        : sum;
      const kept = graph.node("Mul", [moved, chosen(n, own)]);
      return graph.node("ReduceSum", [kept, graph.wholes([0])], { keepdims: { int: 0 } });
    },
    only(made, from) {
      const number = graph.node("Gather", [graph.wholes([...from, -1]), column]);
      const isOwn = graph.node("GreaterOrEqual", [number, graph.wholes([0])]);
      return graph.node("Where", [isOwn, made(), graph.floats([0], [1])]);
    },
    shape: (open) => [...open],
    combine(step, find) {
      const count = graph.node("Mul", [on.tokenCount(), graph.wholes([K])]);
      return combine(step, find, { ...on, value: find, tokenCount: () => count });
    },
  };

  function lastSize(x: Name): Name {
    return graph.node("Slice", [graph.node("Shape", [x]), graph.wholes([1]), graph.wholes([2])]);
  }
}
