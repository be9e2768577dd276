// A mixture in a trace: where rows are summed by token, the grouping says who chose whom, and what lies between is what experts
// compute. From there on it is written for one of three targets.
import { byAssignment } from "./assignments.ts";
import { patternOf } from "./facts.ts";
import { dense } from "./dense.ts";
import { fused } from "./fused.ts";
import { type Lowering, makerOf, type Rule, withoutViews } from "./lowering.ts";
import type { Mixture } from "./mixture.ts";
import { portable } from "./portable.ts";
import { holdsMixture } from "./rows.ts";
import type { Traced } from "./trace.ts";

const targets = { fused, portable, dense };

/** Sums of expert outputs by token. */
export const combineRows: Rule = (step, find, on) => {
  const { inputs, params } = step;
  const [rows, position] = inputs;
  const grouping = makerOf(position);
  if (grouping?.step.kernel !== "group_by" || grouping.output !== 2) {
    return on.refuse("it sums rows of other tokens of the batch");
  }
  const next = 2 + Number(params.weighted ?? 0);
  const K = Number(params.each ?? choicesOf(inputs[next], on));
  const base = params.based ? find(inputs[next + (params.each === undefined ? 2 : 0)]) : null;
  const byToken = (value: Traced) => on.graph.node("Reshape", [find(value), on.graph.wholes([-1, K])]);
  const [expert_N] = grouping.step.inputs;
  const expert_TK = byToken(expert_N);
  const mixture: Mixture = {
    E: Number(grouping.step.params.groups),
    K,
    expert_TK,
    weight_TK: params.weighted
      ? byToken(inputs[2])
      : on.graph.node("Expand", [on.graph.floats([1], [1, 1]), on.graph.node("Shape", [expert_TK])]),
    isNeverNegative: !params.weighted || on.isNeverNegative(inputs[2]),
    grouping: grouping.step,
    rows,
    base,
    D: rows.type.shape[1],
  };
  if (holdsMixture(rows, mixture.grouping, mixture.E)) {
    return [byAssignment(mixture, on, (...inner) => combineRows(...inner)[0])];
  }
  return [targets[on.target](mixture, on)];
};

/** K, of an order by token that groups the token of each assignment: floor(n / K), or the layout is none of tokens. */
function choicesOf(order: Traced, on: Lowering): number {
  const maker = makerOf(order);
  const token = maker?.step.kernel === "group_by" ? withoutViews(maker.step.inputs[0]).origin : null;
  const pattern = token?.kind === "numbers" ? patternOf(token.values, on.tokens) : null;
  if (!pattern || pattern.step !== 1 || pattern.first.some((first) => first !== 0)) {
    on.refuse(
      "experts choose their tokens among those of a batch, and an exported model decides for each token alone",
    );
  }
  return pattern!.first.length;
}
