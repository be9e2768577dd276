// Banks of one expert that every token goes to, beside a mixture or instead of one: sorting the rows of one group leaves them
// as they are.
import { makerOf, type Rule, withoutViews } from "./lowering.ts";
import { activated, operators } from "./operators.ts";
import type { Traced } from "./trace.ts";
import { ofExpert } from "./weights.ts";

/** True for the output of a grouping that puts all rows into one group, in the order they have. */
function isOfOneGroup(value: Traced, output: number): boolean {
  const made = makerOf(value);
  if (made?.step.kernel !== "group_by" || made.output !== output || made.step.params.groups !== 1) {
    return false;
  }
  const { origin } = withoutViews(made.step.inputs[0]);
  return origin.kind === "numbers" && origin.values.every((key) => key === 0);
}

/** A product of all rows with the group's one matrix. */
export const groupedMatmul: Rule = ({ inputs, params }, find, on) => {
  const [x, weight, offset] = inputs;
  if (!isOfOneGroup(offset, 1)) {
    return on.refuse("it mixes the tokens of a sequence, and an exported model decides for each token alone");
  }
  const bias = params.biased ? inputs[params.each === undefined ? 3 : 4] : null;
  const sum = on.graph.node("MatMul", [find(x), ofExpert(on, weight, 0)]);
  return [activated(bias ? on.graph.node("Add", [sum, ofExpert(on, bias, 0)]) : sum, params, on)];
};

/** Rows in an order, where it is the one they have. */
export const gatherRows: Rule = (step, find, on) => {
  const [x, index] = step.inputs;
  const inner = makerOf(index);
  const isSorted = isOfOneGroup(index, 0) ||
    inner?.step.kernel === "gather_rows" && isOfOneGroup(inner.step.inputs[1], 0);
  return isSorted ? [find(x)] : operators.gather_rows(step, find, on);
};
