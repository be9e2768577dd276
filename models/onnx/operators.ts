// Kernels as standard ONNX operators, each on its own; what they compute is said in kernels/*/kernel.ts. Nothing here mixes
// tokens: a sum, a maximum or a product over an axis that counts tokens is refused.
import { countsTokens, patternOf } from "./facts.ts";
import { gatherRows } from "./gather.ts";
import type { Graph, Name } from "./graph.ts";
import { type Lowering, type Rule, withoutViews } from "./lowering.ts";
import type { Step, Traced } from "./trace.ts";

const MIXES =
  "it compares or mixes the tokens of a batch, and an exported model decides for each token alone";

/** @throws through `refuse` when an axis counts tokens. */
function refuseMixing(value: Traced, axis: number, on: Lowering): void {
  if (countsTokens(value.type.shape, axis, on.tokens)) on.refuse(MIXES);
}

const binaryOps: Readonly<Record<string, string>> = {
  add: "Add",
  subtract: "Sub",
  multiply: "Mul",
  divide: "Div",
  maximum: "Max",
  minimum: "Min",
};

const unaryOps: Readonly<Record<string, string>> = {
  relu: "Relu",
  exp: "Exp",
  log: "Log",
  negate: "Neg",
  sqrt: "Sqrt",
  sigmoid: "Sigmoid",
  tanh: "Tanh",
  reciprocal: "Reciprocal",
};

/** A function of one number. GELU is the exact one, which ONNX has no operator for before opset 20. */
export function elementwise(graph: Graph, op: string, x: Name): Name {
  switch (op) {
    case "square":
      return graph.node("Mul", [x, x]);
    case "silu":
      return graph.node("Mul", [x, graph.node("Sigmoid", [x])]);
    case "gelu": {
      const erf = graph.node("Erf", [scaled(graph, x, Math.SQRT1_2)]);
      return graph.node("Mul", [scaled(graph, x, 0.5), graph.node("Add", [erf, graph.floats([1], [1])])]);
    }
    default:
      return graph.node(unaryOps[op], [x]);
  }
}

/** x times a number. */
export function scaled(graph: Graph, x: Name, scale: number): Name {
  return scale === 1 ? x : graph.node("Mul", [x, graph.floats([scale], [1])]);
}

/** x rounded to 16 bits. */
export function rounded(graph: Graph, x: Name): Name {
  return graph.node("Cast", [graph.node("Cast", [x], { to: { int: 10 } })], { to: { int: 1 } });
}

/** What a product does to its sums. */
export function activated(sum: Name, { activation, half }: Step["params"], { graph }: Lowering): Name {
  const y = activation ? elementwise(graph, String(activation), sum) : sum;
  return half ? rounded(graph, y) : y;
}

/** gate' sigmoid(steepness gate') (x' + shift), gate' clamped from above and x' on both sides. */
export function gated(
  graph: Graph,
  gate: Name,
  x: Name,
  { limit, steepness = 1, shift = 0 }: { limit?: number; steepness?: number; shift?: number },
): Name {
  const most = limit === undefined ? null : graph.floats([limit], [1]);
  const held = most ? graph.node("Min", [gate, most]) : gate;
  const clamped = most ? graph.node("Max", [graph.node("Min", [x, most]), graph.floats([-limit!], [1])]) : x;
  const open = graph.node("Mul", [held, graph.node("Sigmoid", [scaled(graph, held, steepness)])]);
  const moved = shift === 0 ? clamped : graph.node("Add", [clamped, graph.floats([shift], [1])]);
  return graph.node("Mul", [open, moved]);
}

/** [T, K] values put at their columns of [T, E], those of one column added; column -1 is left out. */
export function spread(graph: Graph, index: Name, values: Name, columns: number): Name {
  const column = Float64Array.from({ length: columns }, (_, e) => e);
  const last = { axes: graph.wholes([-1]) };
  const here = graph.node("Equal", [graph.node("Unsqueeze", [index, last.axes]), graph.wholes(column)]);
  const each = graph.node("Where", [
    here,
    graph.node("Unsqueeze", [values, last.axes]),
    graph.floats([0], [1]),
  ]);
  return graph.node("ReduceSum", [each, graph.wholes([1])], { keepdims: { int: 0 } });
}

const sum = (axis: number): Rule => ({ inputs: [x] }, find, on) => {
  refuseMixing(x, axis, on);
  // A row of numbers has one sum, and arrays have a dimension at least.
  const keepdims = { int: x.type.shape.length === 1 ? 1 : 0 };
  return [on.graph.node("ReduceSum", [find(x), on.graph.wholes([axis])], { keepdims })];
};

/** Rules by kernel. */
export const operators: Readonly<Record<string, Rule>> = {
  unary: ({ inputs: [x], params }, find, { graph }) => [elementwise(graph, String(params.op), find(x))],
  binary({ inputs: [a, b], params }, find, { graph }) {
    if (params.op !== "greater") return [graph.node(binaryOps[String(params.op)], [find(a), find(b)])];
    return [graph.node("Cast", [graph.node("Greater", [find(a), find(b)])], { to: { int: 1 } })];
  },
  affine({ inputs: [x], params }, find, { graph }) {
    const product = scaled(graph, find(x), Number(params.scale));
    return [
      params.shift === 0 ? product : graph.node("Add", [product, graph.floats([Number(params.shift)], [1])]),
    ];
  },
  where({ inputs: [mask, a, b] }, find, { graph }) {
    const chosen = graph.node("Cast", [find(mask)], { to: { int: 9 } });
    return [graph.node("Where", [chosen, find(a), find(b)])];
  },
  to_float: ({ inputs: [x] }, find, { graph }) => [graph.node("Cast", [find(x)], { to: { int: 1 } })],
  to_half: ({ inputs: [x] }, find, { graph }) => [rounded(graph, find(x))],
  softmax({ inputs: [x] }, find, on) {
    refuseMixing(x, -1, on);
    return [on.graph.node("Softmax", [find(x)], { axis: { int: -1 } })];
  },
  logsumexp({ inputs: [x] }, find, on) {
    refuseMixing(x, -1, on);
    return [on.graph.node("ReduceLogSumExp", [find(x), on.graph.wholes([-1])], { keepdims: { int: 0 } })];
  },
  sum_last: sum(-1),
  sum_first(step, find, on) {
    const [x] = step.inputs;
    const flat = x.type.shape.length === 1;
    return flat ? [find(x)] : sum(0)(step, find, on);
  },
  matmul({ inputs: [a, b], params }, find, on) {
    refuseMixing(a, params.transposeA ? 0 : 1, on);
    const turned = (x: Traced, isTurned: unknown) =>
      isTurned ? on.graph.node("Transpose", [find(x)], { perm: { ints: [1, 0] } }) : find(x);
    return [on.graph.node("MatMul", [turned(a, params.transposeA), turned(b, params.transposeB)])];
  },
  transpose({ inputs: [x] }, find, { graph }) {
    const perm = x.type.shape.map((_, axis) => axis);
    perm.push(...perm.splice(-2).reverse());
    return [graph.node("Transpose", [find(x)], { perm: { ints: perm } })];
  },
  top_k({ inputs: [x], params }, find, on) {
    refuseMixing(x, -1, on);
    return on.graph.nodes("TopK", [find(x), on.graph.wholes([Number(params.k)])], 2);
  },
  take_along({ inputs: [x, index] }, find, on) {
    const { graph } = on;
    const { origin } = withoutViews(index);
    const columns = origin.kind === "numbers" ? patternOf(origin.values, index.type.shape[0]) : null;
    if (columns?.step === 0 && columns.first.every((column) => column >= 0)) {
      return [graph.node("Gather", [find(x), graph.wholes(columns.first)], { axis: { int: -1 } })];
    }
    if (on.isNeverNegative(index)) {
      return [graph.node("GatherElements", [find(x), find(index)], { axis: { int: 1 } })];
    }
    const none = graph.wholes([0], [1]);
    const inside = graph.node("Max", [find(index), none]);
    const taken = graph.node("GatherElements", [find(x), inside], { axis: { int: 1 } });
    const zero = x.type.dtype === "i32" ? none : graph.floats([0], [1]);
    return [graph.node("Where", [graph.node("Less", [find(index), none]), zero, taken])];
  },
  take_along_gradient: ({ inputs: [index, values], params }, find, { graph }) => [
    spread(graph, find(index), find(values), Number(params.columns)),
  ],
  gather_rows: gatherRows,
  rms_norm({ inputs: [x, gain], params }, find, { graph }) {
    const square = graph.node("Mul", [find(x), find(x)]);
    const mean = graph.node("ReduceMean", [square, graph.wholes([-1])]);
    const root = graph.node("Sqrt", [graph.node("Add", [mean, graph.floats([Number(params.epsilon)], [1])])]);
    return [graph.node("Mul", [graph.node("Div", [find(x), root]), find(gain)])];
  },
  chunk_cosine({ inputs: [x], params }, find, { graph }) {
    const [D, chunks] = [x.type.shape[1], Number(params.chunks)];
    const parts = graph.node("Reshape", [find(x), graph.wholes([-1, chunks, D / chunks])]);
    const sums = graph.node("ReduceSum", [parts, graph.wholes([2])], { keepdims: { int: 0 } });
    const squares = graph.node("ReduceSum", [graph.node("Mul", [find(x), find(x)]), graph.wholes([1])]);
    const norm = graph.node("Sqrt", [graph.node("Add", [squares, graph.floats([1e-20], [1])])]);
    return [graph.node("Div", [scaled(graph, sums, Math.sqrt(chunks / D)), norm])];
  },
  copy_columns({ inputs: [x, base], params }, find, { graph }) {
    const [C, from, columns] = [x.type.shape.at(-1)!, Number(params.from), Number(params.columns)];
    const [left, end] = [Math.max(0, -from), Math.min(columns, C - from)];
    const slice = (of: Name, first: number, to: number) =>
      graph.node("Slice", [of, graph.wholes([first]), graph.wholes([to]), graph.wholes([-1])]);
    const part = slice(find(x), left + from, end + from);
    if (!base) {
      const pads = graph.wholes([left, columns - end]);
      return [graph.node("Pad", [part, pads, "", graph.wholes([-1])])];
    }
    const pieces = [slice(find(base), 0, left), part, slice(find(base), end, columns)];
    return [graph.node("Concat", pieces, { axis: { int: -1 } })];
  },
  paired_swiglu({ inputs: [x], params }, find, { graph }) {
    const ends = graph.wholes([2 ** 31]);
    const half = (from: number) =>
      graph.node("Slice", [find(x), graph.wholes([from]), ends, graph.wholes([-1]), graph.wholes([2])]);
    return [gated(graph, half(0), half(1), params)];
  },
  swiglu: ({ inputs: [gate, x], params }, find, { graph }) => [gated(graph, find(gate), find(x), params)],
};
