// What experts compute, written once for the rows of one expert (portable) or for all tokens and experts at once (dense): both
// follow the same steps and differ in what a row, a matrix and a bias are.
import { countsTokens, openShape } from "./facts.ts";
import type { Name } from "./graph.ts";
import { type Find, type Lowering, makerOf } from "./lowering.ts";
import { elementwise, operators, rounded } from "./operators.ts";
import type { Step, Traced } from "./trace.ts";

/** What rows are. */
export interface RowSpace {
  /** Rows of tokens, from their value. */
  rowsOf(x: Name): Name;
  /** Matrices [E, K, M] of each expert. */
  matrix(weight: Traced): Name;
  /** Numbers [E, M] of each expert, to be added to its rows. */
  bias(bias: Traced): Name;
  /** The shape that rows of this shape have, -1 standing for how many there are. */
  shape(open: readonly number[]): number[];
}

/** Tells whether values are sorted rows: whether they come from a product or a gather by the order of a grouping. */
export function rowTest(grouping: Step): (value: Traced) => boolean {
  const known = new Map<Traced, boolean>();
  const isOf = (value: Traced) => makerOf(value)?.step === grouping;
  const isRows = (value: Traced): boolean => {
    let found = known.get(value);
    if (found === undefined) {
      const made = makerOf(value);
      found = made !== null &&
        (made.step === grouping || made.step.inputs.some((input) => isOf(input) || isRows(input)));
      known.set(value, found);
    }
    return found;
  };
  return isRows;
}

/** Finds values among rows; what is not of rows is found among tokens, where only the model's own numbers may come from. */
export function findRows(space: RowSpace, isRows: (value: Traced) => boolean, on: Lowering): Find {
  const made = new Map<Step, readonly Name[]>();
  const find: Find = (value) => {
    if (!isRows(value)) {
      if (countsTokens(value.type.shape, 0, on.tokens)) {
        on.refuse("its experts read what comes with each token beside the token itself");
      }
      return on.value(value);
    }
    const { origin, type } = value;
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
    const [x, index] = step.inputs;
    switch (step.kernel) {
      case "grouped_matmul":
        return [product(step, space, find, isRows, on)];
      case "gather_rows":
        if (!isRows(x) && isRows(index)) return [space.rowsOf(on.value(x))];
    }
    const known = operators[step.kernel];
    return known ? known(step, find, on) : on.refuse(`its experts use the kernel ${step.kernel}`);
  };
  return find;
}

/** Rows times their expert's matrix, with its bias, through an activation. */
function product(
  { inputs, params }: Step,
  space: RowSpace,
  find: Find,
  isRows: (value: Traced) => boolean,
  on: Lowering,
): Name {
  const [x, weight] = inputs;
  const { graph } = on;
  const rows = isRows(x) ? find(x) : space.rowsOf(on.value(x));
  if (params.transposeB || params.factor !== undefined) {
    on.refuse("its experts use a product that only gradients have");
  }
  let y = graph.node("MatMul", [rows, space.matrix(weight)]);
  if (params.biased) y = graph.node("Add", [y, space.bias(inputs[params.each === undefined ? 3 : 4])]);
  if (params.activation) y = elementwise(graph, String(params.activation), y);
  return params.half ? rounded(graph, y) : y;
}
