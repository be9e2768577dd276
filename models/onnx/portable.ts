// A mixture in standard operators: each expert gathers the rows of its tokens, computes, and adds what it gave to them. How many
// rows an expert has is known while the graph runs.
import type { Name } from "./graph.ts";
import type { Lowering } from "./lowering.ts";
import type { Mixture } from "./mixture.ts";
import { spread } from "./operators.ts";
import { findRows, type RowSpace, rowTest } from "./rows.ts";
import { ofExpert } from "./weights.ts";

/** Writes a mixture expert by expert. */
export function portable(mixture: Mixture, on: Lowering): Name {
  const { graph } = on;
  const { E, expert_TK, weight_TK, rows, base, D } = mixture;
  const isRows = rowTest(mixture.grouping);
  const byExpert = (values_TK: Name) =>
    graph.node("Transpose", [spread(graph, expert_TK, values_TK, E)], { perm: { ints: [1, 0] } });
  const ones = graph.node("Expand", [graph.floats([1], [1, 1]), graph.node("Shape", [expert_TK])]);
  const [chosen_ET, weight_ET] = [byExpert(ones), byExpert(weight_TK)];
  const shape = graph.node("Concat", [on.tokenCount(), graph.wholes([D])], { axis: { int: 0 } });
  let y_TD = base ?? graph.node("Expand", [graph.floats([0], [1, 1]), shape]);
  for (let e = 0; e < E; e++) {
    const row = (of: Name) => graph.node("Gather", [of, graph.wholes([e], [])]);
    const token_N = graph.node("Squeeze", [graph.node("NonZero", [row(chosen_ET)]), graph.wholes([0])]);
    const space: RowSpace = {
      rowsOf: (x) => graph.node("Gather", [x, token_N]),
      matrix: (weight) => ofExpert(on, weight, e),
      bias: (bias) => ofExpert(on, bias, e),
      shape: (open) => [...open],
    };
    const column = (of: Name) => graph.node("Unsqueeze", [of, graph.wholes([1])]);
    const weight_N1 = column(graph.node("Gather", [row(weight_ET), token_N]));
    const given = graph.node("Mul", [findRows(space, isRows, on)(rows), weight_N1]);
    y_TD = graph.node("ScatterND", [y_TD, column(token_N), given], { reduction: { text: "add" } });
  }
  return y_TD;
}
