// ONNX models without Python: a graph is written node by node and encoded by the protocol buffers of the npm package
// onnx-proto. Opset 18, as onnxruntime 1.30 reads it.

/** Name of a value in a graph. */
export type Value = string;

/** What nodes take besides values: whole numbers, lists of them, or words. */
export type Attributes = Readonly<Record<string, number | readonly number[] | string>>;

/** A graph under construction. */
export interface Graph {
  input(name: string, type: "f32" | "i64", shape: readonly number[]): Value;
  /** Values that are part of the model. */
  constant(values: Float32Array | readonly number[], shape: readonly number[]): Value;
  node(op: string, inputs: readonly Value[], attributes?: Attributes): Value;
  /** A node with several results. */
  nodes(op: string, inputs: readonly Value[], outputs: number, attributes?: Attributes): Value[];
  output(name: string, value: Value, shape: readonly number[]): void;
  /** The model's bytes. */
  encode(): Uint8Array;
}

interface ModelProto {
  fromObject(model: unknown): unknown;
  encode(model: unknown): { finish(): Uint8Array };
}

const ELEMENT = { f32: 1, i64: 7 } as const;
const [INT, WORD, INT_LIST] = [2, 3, 7];

const described = (name: string, type: "f32" | "i64", shape: readonly number[]) => ({
  name,
  type: { tensorType: { elemType: ELEMENT[type], shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});

function attribute(name: string, value: Attributes[string]): unknown {
  if (typeof value === "string") return { name, type: WORD, s: new TextEncoder().encode(value) };
  if (typeof value === "number") return { name, type: INT, i: value };
  return { name, type: INT_LIST, ints: [...value] };
}

/** Starts a graph. */
export async function createGraph(): Promise<Graph> {
  // A variable keeps type checks of the repository from downloading the package.
  const packageName = "onnx-proto";
  const { onnx } = (await import(packageName)).default as { onnx: { ModelProto: ModelProto } };
  const [inputs, outputs, nodes, initializers] = [[], [], [], []] as unknown[][];
  let count = 0;
  const fresh = (word: string) => `${word}_${count++}`;

  function addNodes(
    op: string,
    from: readonly Value[],
    outputs: number,
    attributes: Attributes = {},
  ): Value[] {
    const name = fresh(op);
    const output = Array.from({ length: outputs }, (_, at) => `${name}_${at}`);
    const found = Object.entries(attributes).map(([name, value]) => attribute(name, value));
    nodes.push({ opType: op, name, input: [...from], output, attribute: found });
    return output;
  }

  return {
    input(name, type, shape) {
      inputs.push(described(name, type, shape));
      return name;
    },
    constant(values, shape) {
      const name = fresh("constant");
      const real = values instanceof Float32Array;
      const held = real ? values : BigInt64Array.from(values, BigInt);
      const rawData = new Uint8Array(held.buffer, held.byteOffset, held.byteLength);
      initializers.push({ name, dims: [...shape], dataType: real ? ELEMENT.f32 : ELEMENT.i64, rawData });
      return name;
    },
    node: (op, from, attributes) => addNodes(op, from, 1, attributes)[0],
    nodes: addNodes,
    output(name, value, shape) {
      nodes.push({ opType: "Identity", name: fresh("output"), input: [value], output: [name] });
      outputs.push(described(name, "f32", shape));
    },
    encode() {
      const graph = { name: "peers", node: nodes, input: inputs, output: outputs, initializer: initializers };
      const opsetImport = [{ domain: "", version: 18 }, { domain: "com.microsoft", version: 1 }];
      return onnx.ModelProto.encode(onnx.ModelProto.fromObject({ irVersion: 8, opsetImport, graph }))
        .finish();
    },
  };
}
