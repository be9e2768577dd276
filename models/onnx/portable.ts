// A mixture in standard operators: each expert gathers the rows of its tokens, computes, and adds what it gave to them. How many
// rows an expert has is known while the graph runs.
import type { Name } from "./graph.ts";
import type { Lowering } from "./lowering.ts";
import type { Mixture } from "./mixture.ts";
import { spread } from "./operators.ts";
import { findRows, type RowSpace } from "./rows.ts";
import { ofExpert } from "./weights.ts";

/** Writes a mixture expert by expert. */
export function portable(mixture: Mixture, on: Lowering): Name {
  const { graph } = on;
  const { E, expert_TK, weight_TK, rows, base, D } = mixture;
  const byExpert = (values_TK: Name) =>
    graph.node("Transpose", [spread(graph, expert_TK, values_TK, E)], { perm: { ints: [1, 0] } });
  const ones = graph.node("Expand", [graph.floats([1], [1, 1]), graph.node("Shape", [expert_TK])]);
  const [chosen_ET, weight_ET] = [byExpert(ones), byExpert(weight_TK)];
  const shape = graph.node("Concat", [on.tokenCount(), graph.wholes([D])], { axis: { int: 0 } });
  const column = (of: Name) => graph.node("Unsqueeze", [of, graph.wholes([1])]);
  let y_TD = base ?? graph.node("Expand", [graph.floats([0], [1, 1]), shape]);
  for (let e = 0; e < E; e++) {
    const row = (of: Name) => graph.node("Gather", [of, graph.wholes([e], [])]);
    const token_N = graph.node("Squeeze", [graph.node("NonZero", [row(chosen_ET)]), graph.wholes([0])]);
    const weight_N1 = column(graph.node("Gather", [row(weight_ET), token_N]));
    const given = findRows(mixture.grouping, E, rowsOfExpert(e, token_N, on), on)(rows);
    y_TD = graph.node("ScatterND", [y_TD, column(token_N), graph.node("Mul", [given, weight_N1])], {
      reduction: { text: "add" },
    });
  }
  return y_TD;
}

function rowsOfExpert(e: number, token_N: Name, on: Lowering): RowSpace {
  const { graph } = on;
  return {
    key: graph.wholes([e]),
    rowsOf: (x) => graph.node("Gather", [x, token_N]),
    product(rows, weight, bias, own) {
      const sum = graph.node("MatMul", [rows, ofExpert(on, weight, own[e])]);
      return bias ? graph.node("Add", [sum, ofExpert(on, bias, own[e])]) : sum;
    },
    only: (made, from) => from[e] < 0 ? graph.floats([0], [1, 1]) : made(),
    shape: (open) => [...open],
    combine: null,
  };
}
