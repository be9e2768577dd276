// Hidden units of a feed-forward network in an ONNX graph: one operator where there is one, and else a product of factors, in
// whatever order an exporter wrote them.
import type { Product, Reading } from "./reading.ts";

/** What makes hidden units. */
export interface HiddenUnits {
  readonly activation: "relu" | "gelu" | "silu" | "relu-squared";
  /** The product that they are functions of; behind a gate's, that of the units. */
  readonly products: readonly Product[];
}

/** No activation has more. */
const MOST_FACTORS = 8;

/** Finds how hidden units are made. */
export async function hiddenUnits(graph: Reading, value: string): Promise<HiddenUnits> {
  const node = graph.maker(value);
  const one = async (activation: HiddenUnits["activation"], of: string) => ({
    activation,
    products: [await graph.product(of)],
  });
  switch (node?.op) {
    case "Relu":
      return await one("relu", node.inputs[0]);
    case "Gelu": {
      const { approximate } = node.attributes;
      if (!approximate || "text" in approximate && approximate.text === "none") {
        return await one("gelu", node.inputs[0]);
      }
      return graph.refuse("its Gelu is an approximation, and experts here have the exact one");
    }
    case "Pow": {
      const power = await graph.constant(node.inputs[1]);
      const inner = graph.maker(node.inputs[0]);
      if (power?.values[0] === 2 && inner?.op === "Relu") return await one("relu-squared", inner.inputs[0]);
      break;
    }
    case "Mul":
    case "Div":
      return await productOfFactors(graph, value);
  }
  return graph.refuse(`${node?.op ?? "no node"} makes "${value}", where an activation is expected`);
}

/** Factors of a value, and the number that they are multiplied by. */
interface Factors {
  readonly values: readonly string[];
  readonly scale: number;
}

async function factorsOf(graph: Reading, value: string): Promise<Factors> {
  const node = graph.maker(value);
  const number = await graph.constant(value);
  if (number?.values.length === 1) return { values: [], scale: number.values[0] };
  if (node?.op !== "Mul" && node?.op !== "Div") return { values: [graph.origin(value)], scale: 1 };
  const [a, b] = [await factorsOf(graph, node.inputs[0]), await factorsOf(graph, node.inputs[1])];
  const both = [...a.values, ...b.values];
  if (both.length > MOST_FACTORS) {
    graph.refuse(`"${value}" is a product of more than ${MOST_FACTORS} factors`);
  }
  if (node.op === "Mul") return { values: both, scale: a.scale * b.scale };
  return b.values.length === 0
    ? { values: a.values, scale: a.scale / b.scale }
    : { values: [graph.origin(value)], scale: 1 };
}

async function productOfFactors(graph: Reading, value: string): Promise<HiddenUnits> {
  const { values, scale } = await factorsOf(graph, value);
  const close = (found: number, wanted: number) => Math.abs(found - wanted) < 1e-5;
  for (const factor of values) {
    const node = graph.maker(factor);
    const others = values.toSpliced(values.indexOf(factor), 1);
    if (node?.op === "Sigmoid" && close(scale, 1)) {
      const gate = graph.origin(node.inputs[0]);
      if (!others.includes(gate)) continue;
      const [unit, ...more] = others.toSpliced(others.indexOf(gate), 1);
      if (more.length > 0) break;
      const products = [gate, ...(unit === undefined ? [] : [unit])].map((one) => graph.product(one));
      return { activation: "silu", products: await Promise.all(products) };
    }
    if (node?.op === "Relu" && close(scale, 1) && others.length === 1 && others[0] === factor) {
      return { activation: "relu-squared", products: [await graph.product(node.inputs[0])] };
    }
    if (
      node?.op === "Add" && close(scale, 0.5) && others.length === 1 &&
      await isErfOf(graph, node.inputs, others[0])
    ) {
      return { activation: "gelu", products: [await graph.product(others[0])] };
    }
  }
  return graph.refuse(`"${value}" is a product that is no activation of experts here, nor a SiLU gate`);
}

/** 1 + erf(x / sqrt(2)). */
async function isErfOf(graph: Reading, terms: readonly string[], x: string): Promise<boolean> {
  const erf = terms.map((term) => graph.maker(term)).find((node) => node?.op === "Erf");
  const numbers = await Promise.all(terms.map((term) => graph.constant(term)));
  if (!erf || !numbers.some((one) => one?.values.length === 1 && one.values[0] === 1)) return false;
  const { values, scale } = await factorsOf(graph, erf.inputs[0]);
  return values.length === 1 && values[0] === x && Math.abs(scale - Math.SQRT1_2) < 1e-5;
}
