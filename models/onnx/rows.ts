// What experts compute, written once for three spaces of rows: those of one expert (portable), all tokens for all experts at once
// (dense), and assignments in the order that tokens have them. All follow the same steps; a space says what a row, a product and
// an expert's number are there.
import { countsTokens, openShape, patternOf } from "./facts.ts";
import type { Name } from "./graph.ts";
import { keysOf, type Own } from "./keys.ts";
import { type Find, type Lowering, makerOf, withoutViews } from "./lowering.ts";
import { activated, operators } from "./operators.ts";
import { ONLY_FUSED } from "./quantised.ts";
import type { Step, Traced } from "./trace.ts";

/** What rows are. */
export interface RowSpace {
  /** Number of each row's expert, whole numbers that broadcast over rows. */
  readonly key: Name;
  /** Rows of tokens, from their value. */
  rowsOf(x: Name): Name;
  /** Rows times their expert's matrix of [n, K, M], plus its bias of [n, M]. */
  product(rows: Name, weight: Traced, bias: Traced | null, own: Own): Name;
  /** What `made` gives experts that have a number in `from`, and 0 for the others; both for those that have one in `to`. */
  only(made: () => Name, from: Own, to: Own): Name;
  /** The shape that rows of this shape have, -1 standing for how many there are. */
  shape(open: readonly number[]): number[];
  /** Sums of a mixture inside experts; null where a space has no room for one. */
  readonly combine: ((step: Step, find: Find) => Name) | null;
}

/** Finds values among the rows that a grouping sorts. What is of no row may only be the model's own. */
export function findRows(grouping: Step, E: number, space: RowSpace, on: Lowering): Find {
  const keys = keysOf(grouping, E);
  const made = new Map<Step, readonly Name[]>();
  const find: Find = (value) => {
    const { origin, type } = value;
    if (!keys.isOfRows(value)) return ofNoRow(value, on);
    if (origin.kind === "view") {
      const shape = space.shape(openShape(type.shape, on.tokens));
      return on.graph.node("Reshape", [find(origin.of), on.graph.wholes(shape)]);
    }
    if (origin.kind !== "made") return on.refuse("its experts read rows that no step made");
    let outputs = made.get(origin.step);
    if (!outputs) made.set(origin.step, outputs = rule(origin.step));
    return outputs[origin.output] ??
      on.refuse(`its experts use what only the gradient of ${origin.step.kernel} needs`);
  };
  const rule = (step: Step): readonly Name[] => {
    switch (step.kernel) {
      case "grouped_matmul":
        return [product(step)];
      case "gather_rows":
        return [gather(step)];
      case "combine_rows":
        if (space.combine) return [space.combine(step, find)];
    }
    const known = operators[step.kernel];
    return known ? known(step, find, on) : on.refuse(
      step.kernel === "quantised_matmul" ? ONLY_FUSED : `its experts use the kernel ${step.kernel}`,
    );
  };
  const product = ({ inputs, params }: Step): Name => {
    const [x, weight, offset] = inputs;
    if (params.transposeB || params.factor !== undefined) {
      on.refuse("its experts use a product that only gradients have");
    }
    const own = keys.ownOfOffset(offset) ?? on.refuse("its experts multiply rows that are sorted otherwise");
    const rows = keys.isOfRows(x) ? find(x) : space.rowsOf(on.value(x));
    const bias = params.biased ? inputs[params.each === undefined ? 3 : 4] : null;
    return activated(space.product(rows, weight, bias, own), params, on);
  };
  const gather = (step: Step): Name => {
    const [x, index] = step.inputs;
    switch (keys.kindOfIndex(index)) {
      case "token":
        return space.rowsOf(on.value(x));
      case "assignment":
        return keys.isKey(x) ? space.key : on.refuse("its experts read what routers say of assignments");
      case null:
        return operators.gather_rows(step, find, on)[0];
    }
    const own = keys.regrouping(index) ??
      on.refuse("its experts sort rows in a way that has no form here");
    return space.only(() => find(x), own.from, own.to);
  };
  return find;
}

/** Numbers that every row has alike, or what belongs to the model. */
function ofNoRow(value: Traced, on: Lowering): Name {
  const { shape, dtype } = value.type;
  if (!countsTokens(shape, 0, on.tokens)) return on.value(value);
  const { origin } = withoutViews(value);
  const pattern = origin.kind === "numbers" ? patternOf(origin.values, shape[0]) : null;
  if (!pattern || pattern.step !== 0) {
    return on.refuse("its experts read what comes with each token beside the token itself");
  }
  const constant = dtype === "i32" ? on.graph.wholes : on.graph.floats;
  return constant(pattern.first, [1, ...shape.slice(1)]);
}

/** True where a step sums rows inside what experts compute: they hold a mixture of their own, unlike the tokens they read. */
export function holdsMixture(rows: Traced, grouping: Step, E: number): boolean {
  const { isOfRows } = keysOf(grouping, E);
  const seen = new Set<Step>();
  const look = (value: Traced): boolean => {
    const made = makerOf(value);
    if (!made || !isOfRows(value) || made.step.kernel === "group_by" || seen.has(made.step)) return false;
    seen.add(made.step);
    return made.step.kernel === "combine_rows" || made.step.inputs.some(look);
  };
  return look(rows);
}
