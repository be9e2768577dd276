// Rotary positions and causal attention, which see whole sequences: rows [T, C] are read as [sequences, length, heads, width].
import { scaled } from "./operators.ts";
import type { Graph, Name } from "./graph.ts";
import type { Lowering, Rule } from "./lowering.ts";

/** Cosines and sines of the first positions, computed here in f64: in 32 bits, angles of far positions lose their fraction. */
function turns(on: Lowering, half: number, base: number): { readonly cosine: Name; readonly sine: Name } {
  const { graph, longest } = on;
  const { length } = on.sequences();
  const table = (of: (angle: number) => number) => {
    const values = Float32Array.from(
      { length: longest * half },
      (_, at) => of(Math.floor(at / half) * base ** (-(at % half) / half)),
    );
    const rows = graph.node("Slice", [graph.floats(values, [longest, half]), graph.wholes([0]), length]);
    return graph.node("Unsqueeze", [rows, graph.wholes([1])]);
  };
  return { cosine: table(Math.cos), sine: table(Math.sin) };
}

/** Rows as [sequences, length, heads, width]. */
function byHead(on: Lowering, rows: Name, heads: number, width: number): Name {
  const { count, length } = on.sequences();
  const shape = on.graph.node("Concat", [count, length, on.graph.wholes([heads, width])], {
    axis: { int: 0 },
  });
  return on.graph.node("Reshape", [rows, shape]);
}

function cut(graph: Graph, x: Name, sizes: readonly number[], axis: number): Name[] {
  const some = sizes.filter((size) => size > 0);
  return some.length === 1
    ? [x]
    : graph.nodes("Split", [x, graph.wholes(some)], some.length, { axis: { int: axis } });
}

/** Turns each pair of the first heads of a row by its position. */
export const rope: Rule = ({ inputs: [x], params }, find, on) => {
  const { graph } = on;
  const [heads, turned, rotaryWidth] = [
    Number(params.heads),
    Number(params.turned),
    Number(params.rotaryWidth),
  ];
  const C = x.type.shape[1];
  const width = C / heads;
  const half = rotaryWidth / 2;
  const { cosine, sine } = turns(on, half, Number(params.base));
  const [turning, ...others] = cut(graph, byHead(on, find(x), heads, width), [turned, heads - turned], 2);
  const [a, b, ...rest] = cut(graph, turning, [half, half, width - rotaryWidth], 3);
  const product = (one: Name, other: Name) => graph.node("Mul", [one, other]);
  const left = graph.node("Sub", [product(a, cosine), product(b, sine)]);
  const right = graph.node("Add", [product(b, cosine), product(a, sine)]);
  const done = graph.node("Concat", [left, right, ...rest], { axis: { int: 3 } });
  const all = others.length === 0 ? done : graph.node("Concat", [done, ...others], { axis: { int: 2 } });
  return [graph.node("Reshape", [all, graph.wholes([-1, C])])];
};

/** Softmax attention of each token over itself and those before it in its sequence. */
export const attention: Rule = ({ inputs: [queries, keys, values], params }, find, on) => {
  const { graph } = on;
  const [H, G] = [Number(params.heads), Number(params.keyValueHeads)];
  const width = params.packed ? queries.type.shape[1] / (H + 2 * G) : queries.type.shape[1] / H;
  const [q, k, v] = params.packed ? cut(graph, byHead(on, find(queries), H + 2 * G, width), [H, G, G], 2) : [
    byHead(on, find(queries), H, width),
    byHead(on, find(keys), G, width),
    byHead(on, find(values), G, width),
  ];
  // Query heads that share keys and values lie side by side: [B, G, H / G, L, W] against [B, G, 1, L, W].
  const grouped = (x: Name, perGroup: number, perm: readonly number[]) => {
    const { count, length } = on.sequences();
    const shape = graph.node("Concat", [count, length, graph.wholes([G, perGroup, width])], {
      axis: { int: 0 },
    });
    return graph.node("Transpose", [graph.node("Reshape", [x, shape])], { perm: { ints: perm } });
  };
  const rows = [0, 2, 3, 1, 4];
  const scores = graph.node("MatMul", [
    scaled(graph, grouped(q, H / G, rows), 1 / Math.sqrt(width)),
    grouped(k, 1, [0, 2, 3, 4, 1]),
  ]);
  const seen = graph.node("Softmax", [graph.node("Add", [scores, future(on)])], { axis: { int: -1 } });
  const mixed = graph.node("MatMul", [seen, grouped(v, 1, rows)]);
  const back = graph.node("Transpose", [mixed], { perm: { ints: [0, 3, 1, 2, 4] } });
  return [graph.node("Reshape", [back, graph.wholes([-1, H * width])])];
};

/** -infinity above the diagonal of [length, length], 0 elsewhere. */
function future(on: Lowering): Name {
  const { graph } = on;
  const { length } = on.sequences();
  const square = graph.node("Concat", [length, length], { axis: { int: 0 } });
  const all = graph.node("Expand", [graph.floats([-Infinity], [1]), square]);
  return graph.node("Trilu", [all, graph.wholes([1], [])], { upper: { int: 1 } });
}
