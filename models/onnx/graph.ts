// An ONNX graph under construction: nodes, numbers and weights, each under a name of its own. Standard operators are those of
// opset 18, which onnxruntime has had since 2023. Equal nodes and equal numbers are there once.
import type {
  OnnxAttribute,
  OnnxDtype,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValue,
} from "../../formats/onnx_model.ts";
import type { BytesToMake } from "../../formats/protobuf.ts";

/** Versions of operators: ONNX's own, and onnxruntime's. */
const OPSET = 18;
const CONTRIBUTED = "com.microsoft";

/** Name of a value. */
export type Name = string;

/** Settings of a node. */
export type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** A graph under construction. */
export interface Graph {
  /** Adds a node of one output. */
  node(op: string, inputs: readonly Name[], attributes?: Attributes): Name;
  /** Adds a node of several outputs. */
  nodes(op: string, inputs: readonly Name[], outputs: number, attributes?: Attributes): Name[];
  /** Adds a node of onnxruntime's own operators. */
  contributed(op: string, inputs: readonly Name[], attributes: Attributes): Name;
  /** 32-bit floats. */
  floats(values: ArrayLike<number>, shape: readonly number[]): Name;
  /** Whole numbers, of 64 bits as ONNX's operators take them. */
  wholes(values: ArrayLike<number>, shape?: readonly number[]): Name;
  /** Weights under a name; a second call of the name gives the first one's. */
  weight(name: Name, shape: readonly number[], data: BytesToMake, dtype?: OnnxDtype): Name;
  /** Gives a value a name that users see. */
  rename(value: Name, name: Name): void;
  finish(
    inputs: readonly OnnxValue[],
    outputs: readonly OnnxValue[],
    metadata: Readonly<Record<string, string>>,
  ): OnnxModel;
}

/** An empty graph. */
export function createGraph(): Graph {
  const nodes: OnnxNode[] = [];
  const weights = new Map<Name, OnnxTensor>();
  const numbers = new Map<string, Name>();
  const made = new Map<string, Name[]>();
  const add = (
    domain: string,
    op: string,
    inputs: readonly Name[],
    count: number,
    attributes: Attributes,
  ): Name[] => {
    const key = JSON.stringify([op, inputs, attributes]);
    let outputs = made.get(key);
    if (!outputs) {
      const number = `${op}.${nodes.length}`;
      outputs = count === 1 ? [number] : Array.from({ length: count }, (_, at) => `${number}.${at}`);
      made.set(key, outputs);
      nodes.push({ op, domain, inputs, outputs, attributes });
    }
    return outputs;
  };
  const constant = (
    dtype: OnnxDtype,
    values: Float32Array | BigInt64Array,
    shape: readonly number[],
  ): Name => {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const key = `${dtype} [${shape}] ${data.toBase64()}`;
    let name = numbers.get(key);
    if (name === undefined) {
      numbers.set(key, name = `numbers.${numbers.size}`);
      weights.set(name, { name, dtype, shape, data });
    }
    return name;
  };
  return {
    node: (op, inputs, attributes = {}) => add("", op, inputs, 1, attributes)[0],
    nodes: (op, inputs, outputs, attributes = {}) => add("", op, inputs, outputs, attributes),
    contributed: (op, inputs, attributes) => add(CONTRIBUTED, op, inputs, 1, attributes)[0],
    floats: (values, shape) => constant("F32", Float32Array.from(values), shape),
    wholes: (values, shape = [values.length]) =>
      constant("I64", BigInt64Array.from(Array.from(values, BigInt)), shape),
    weight(name, shape, data, dtype = "F32") {
      if (!weights.has(name)) weights.set(name, { name, dtype, shape, data });
      return name;
    },
    rename: (value, name) =>
      void nodes.push({ op: "Identity", domain: "", inputs: [value], outputs: [name], attributes: {} }),
    finish(inputs, outputs, metadata) {
      const contributed = nodes.some(({ domain }) => domain === CONTRIBUTED);
      return {
        opsets: contributed ? { "": OPSET, [CONTRIBUTED]: 1 } : { "": OPSET },
        nodes,
        // Parts of one parameter side by side, so that it is read once.
        weights: [...weights.values()].sort((a, b) => a.name < b.name ? -1 : 1),
        inputs,
        outputs,
        metadata,
      };
    },
  };
}
