// An ONNX graph read backwards: which node makes a value, which values are numbers of the model, and which are products with them.
import type { OnnxModel, OnnxNode, OnnxTensor } from "../../formats/onnx_model.ts";
import { onnxFloats } from "../../formats/onnx_tensor.ts";
import { turned } from "./weights.ts";

/** Numbers of a model. */
export interface Constant {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** x W + b. */
export interface Product {
  readonly x: string;
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  readonly bias: Float32Array | null;
}

/** A graph of one input and one output. */
export interface Reading {
  readonly input: string;
  readonly output: string;
  /** Ends the reading with a reason. */
  refuse(why: string): never;
  /** The node that makes a value, Identity passed over; null for an input or numbers. */
  maker(value: string): OnnxNode | null;
  /** The value itself, Identity passed over. */
  origin(value: string): string;
  /** Numbers that do not depend on the input, or null. */
  constant(value: string): Promise<Constant | null>;
  /** The product that makes a value, with its bias. */
  product(value: string): Promise<Product>;
}

/** Opens a graph for reading. @throws {RangeError} when it has several inputs or outputs. */
export function reading({ nodes, weights, inputs, outputs }: OnnxModel): Reading {
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot read a feed-forward network: ${why}`);
  };
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const stored = new Map(weights.map((tensor) => [tensor.name, tensor]));
  // Files of before IR version 4 list weights among inputs.
  const given = inputs.filter(({ name }) => !stored.has(name));
  if (given.length !== 1 || outputs.length !== 1) {
    refuse(
      `the graph has ${given.length} inputs and ${outputs.length} outputs, and a network has one of each`,
    );
  }
  checkOrder(nodes, new Set([...stored.keys(), ...given.map(({ name }) => name)]), refuse);
  const origin = (value: string): string => {
    let node = makers.get(value);
    for (; node?.op === "Identity"; node = makers.get(value)) value = node.inputs[0];
    return value;
  };
  const maker = (value: string) => makers.get(origin(value)) ?? null;
  const numbersOf = async (tensor: OnnxTensor) => ({ shape: tensor.shape, values: await onnxFloats(tensor) });
  const constant = async (value: string): Promise<Constant | null> => {
    const tensor = stored.get(origin(value));
    if (tensor) return await numbersOf(tensor);
    const node = maker(value);
    if (node?.op === "Constant") {
      const { value: held, value_float: one } = node.attributes;
      if (held && "tensor" in held) return await numbersOf(held.tensor);
      return one && "float" in one ? { shape: [], values: Float32Array.of(one.float) } : null;
    }
    const turning = node?.op === "Transpose" ? stored.get(origin(node.inputs[0])) : undefined;
    if (turning?.shape.length !== 2) return null;
    const [K, M] = turning.shape;
    return { shape: [M, K], values: turned((await numbersOf(turning)).values, 1, K, M) };
  };
  const matrix = async (value: string, isTurned: boolean) => {
    const found = await constant(value);
    if (found?.shape.length !== 2) {
      return refuse(`"${value}", which a product reads, is no matrix of the model`);
    }
    const [K, M] = found.shape;
    return isTurned
      ? { rows: M, columns: K, values: turned(found.values, 1, K, M) }
      : { rows: K, columns: M, values: found.values };
  };
  const vector = async (value: string, size: number) => {
    const found = await constant(value);
    if (found && found.values.length === size) return found.values;
    return refuse(`"${value}", which is added to a product of ${size} columns, is no bias`);
  };
  const product = async (value: string): Promise<Product> => {
    const node = maker(value) ?? refuse(`no node makes "${value}", where a product is expected`);
    const [a, b] = node.inputs;
    switch (node.op) {
      case "MatMul":
        return { x: origin(a), ...await matrix(b, false), bias: null };
      case "Gemm": {
        const { transB, ...others } = settings(node);
        if (others.transA !== 0 || others.alpha !== 1 || others.beta !== 1) {
          refuse(`a Gemm has transA = ${others.transA}, alpha = ${others.alpha} and beta = ${others.beta}`);
        }
        const weight = await matrix(b, transB === 1);
        const bias = node.inputs[2] ? await vector(node.inputs[2], weight.columns) : null;
        return { x: origin(a), ...weight, bias };
      }
      case "Add": {
        const [sum, added] = maker(a) && !await constant(a) ? [a, b] : [b, a];
        const inner = await product(sum);
        if (inner.bias) refuse(`two biases are added to "${sum}"`);
        return { ...inner, bias: await vector(added, inner.columns) };
      }
      default:
        return refuse(`${node.op} makes "${value}", where a product is expected`);
    }
  };
  return { input: given[0].name, output: outputs[0].name, refuse, maker, origin, constant, product };
}

/** Refuses circles: every node reads what is there before it, and makes what is not. */
function checkOrder(nodes: readonly OnnxNode[], known: Set<string>, refuse: (why: string) => never): void {
  for (const { op, inputs, outputs } of nodes) {
    const missing = inputs.find((input) => input !== "" && !known.has(input));
    if (missing !== undefined || inputs.length === 0 && op !== "Constant") {
      refuse(`${op} reads "${missing ?? ""}", which nothing before it makes`);
    }
    for (const output of outputs) {
      if (known.has(output)) refuse(`"${output}" is made twice`);
      known.add(output);
    }
  }
}

/** Settings of a Gemm; 1 and 0 where they are left out. */
function settings({ attributes }: OnnxNode): Record<"alpha" | "beta" | "transA" | "transB", number> {
  const numberOf = (name: string, otherwise: number) => {
    const value = attributes[name];
    return value && "int" in value ? value.int : value && "float" in value ? value.float : otherwise;
  };
  return {
    alpha: numberOf("alpha", 1),
    beta: numberOf("beta", 1),
    transA: numberOf("transA", 0),
    transB: numberOf("transB", 0),
  };
}
