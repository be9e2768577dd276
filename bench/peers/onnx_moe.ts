// The MoE layer as an ONNX graph, and its gradients derived by hand: onnxruntime has no autodiff. For each expert its tokens
// are found, gathered and multiplied; a token's rows come back through the inverse of that order, so nothing is added up
// by index.
import type { Graph, Value } from "./onnx_graph.ts";

/** Sizes of a layer. */
export interface LayerSizes {
  readonly T: number;
  readonly D: number;
  readonly F: number;
  readonly E: number;
}

/** A layer's values in the graph; experts one by one, so that none has to be cut out of a bank. */
export interface LayerValues {
  readonly x: Value;
  readonly router: Value;
  readonly first: readonly Value[];
  readonly second: readonly Value[];
}

interface Expert {
  readonly token: Value;
  readonly weight: Value;
  readonly rows: Value;
  readonly hidden: Value;
  readonly units: Value;
  readonly out: Value;
}

/** What the backward pass takes from the forward pass. */
export interface Forward {
  readonly y: Value;
  readonly weight: Value;
  readonly index: Value;
  readonly place: Value;
  readonly experts: readonly Expert[];
}

/** y [T, D]. */
export function forward(
  g: Graph,
  { x, router, first, second }: LayerValues,
  { T, D, E }: LayerSizes,
): Forward {
  const [value, index] = g.nodes("TopK", [g.node("MatMul", [x, router]), g.constant([2], [1])], 2, {
    axis: 1,
  });
  const weight = g.node("Softmax", [value], { axis: 1 });
  const [zero, one, two] = [0, 1, 2].map((number) => g.constant([number], []));
  const assignments: Value[] = [];
  const experts = Array.from({ length: E }, (_, e): Expert => {
    const found = g.node("NonZero", [g.node("Equal", [index, g.constant([e], [])])]);
    const [token, choice] = [zero, one].map((row) => g.node("Gather", [found, row], { axis: 0 }));
    assignments.push(g.node("Add", [g.node("Mul", [token, two]), choice]));
    const rows = g.node("Gather", [x, token], { axis: 0 });
    const hidden = g.node("MatMul", [rows, first[e]]);
    const units = g.node("Relu", [hidden]);
    const ofRow = g.node("GatherND", [weight, g.node("Transpose", [found], { perm: [1, 0] })]);
    return {
      token,
      rows,
      hidden,
      units,
      weight: g.node("Unsqueeze", [ofRow, g.constant([1], [1])]),
      out: g.node("MatMul", [units, second[e]]),
    };
  });
  const N = 2 * T;
  const numbers = g.constant(Array.from({ length: N }, (_, n) => n), [N]);
  const order = g.node("Concat", assignments, { axis: 0 });
  const place = g.node("ScatterElements", [numbers, order, numbers], { axis: 0 });
  const pairs = ofTokens(g, experts.map(({ out }) => out), place, { T, D });
  const weighted = g.node("Mul", [pairs, g.node("Unsqueeze", [weight, g.constant([2], [1])])]);
  return { y: sumOfPairs(g, weighted), weight, index, place, experts };
}

/** Rows of all experts back in the order of tokens, [T, 2, D]. */
function ofTokens(g: Graph, rows: readonly Value[], place: Value, { T, D }: { T: number; D: number }): Value {
  const gathered = g.node("Gather", [g.node("Concat", rows, { axis: 0 }), place], { axis: 0 });
  return g.node("Reshape", [gathered, g.constant([T, 2, D], [3])]);
}

const sumOfPairs = (g: Graph, pairs: Value) =>
  g.node("ReduceSum", [pairs, g.constant([1], [1])], { keepdims: 0 });

/** Gradients of the mean squared error, by the workload's names; experts one by one. */
export function backward(
  g: Graph,
  values: LayerValues,
  target: Value,
  { y, weight, index, place, experts }: Forward,
  { T, D, E }: LayerSizes,
): { loss: Value; dx: Value; drouter: Value; dfirst: Value[]; dsecond: Value[] } {
  const real = (number: number) => g.constant(Float32Array.of(number), []);
  const off = g.node("Sub", [y, target]);
  // One sum of half a million squares in f32 would lose four digits of the loss.
  const squares = g.node("ReduceMean", [g.node("Mul", [off, off]), g.constant([1], [1])], { keepdims: 0 });
  const loss = g.node("ReduceMean", [squares, g.constant([0], [1])], { keepdims: 0 });
  const dy = g.node("Mul", [off, real(2 / (T * D))]);
  const dweights: Value[] = [];
  const drows: Value[] = [];
  const dfirst: Value[] = [];
  const dsecond: Value[] = [];
  experts.forEach((expert, e) => {
    const ofToken = g.node("Gather", [dy, expert.token], { axis: 0 });
    const products = g.node("Mul", [ofToken, expert.out]);
    dweights.push(g.node("ReduceSum", [products, g.constant([1], [1])], { keepdims: 1 }));
    const dout = g.node("Mul", [ofToken, expert.weight]);
    dsecond.push(g.node("Gemm", [expert.units, dout], { transA: 1 }));
    const dunits = g.node("Gemm", [dout, values.second[e]], { transB: 1 });
    const alive = g.node("Greater", [expert.hidden, real(0)]);
    const dhidden = g.node("Where", [alive, dunits, real(0)]);
    dfirst.push(g.node("Gemm", [expert.rows, dhidden], { transA: 1 }));
    drows.push(g.node("Gemm", [dhidden, values.first[e]], { transB: 1 }));
  });
  const viaExperts = sumOfPairs(g, ofTokens(g, drows, place, { T, D }));
  // Softmax over the two: the gradient of a logit is its weight times how far its gradient lies above the mean.
  const dweight = g.node("Reshape", [ofTokens(g, dweights, place, { T, D: 1 }), g.constant([T, 2], [2])]);
  const mean = g.node("ReduceSum", [g.node("Mul", [dweight, weight]), g.constant([1], [1])], { keepdims: 1 });
  const dvalue = g.node("Mul", [weight, g.node("Sub", [dweight, mean])]);
  const zeros = g.constant(new Float32Array(T * E), [T, E]);
  const dlogit = g.node("ScatterElements", [zeros, index, dvalue], { axis: 1 });
  const viaRouter = g.node("Gemm", [dlogit, values.router], { transB: 1 });
  return {
    loss,
    dx: g.node("Add", [viaExperts, viaRouter]),
    drouter: g.node("Gemm", [values.x, dlogit], { transA: 1 }),
    dfirst,
    dsecond,
  };
}
