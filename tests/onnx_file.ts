// Small ONNX models as bytes, from no more than what tests differ in.
import { encodeOnnx, type OnnxValue } from "../formats/mod.ts";

/** One operator. */
export interface OnnxStep {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
}

/** What a model is made of: `y` of `x` unless other inputs and outputs are named. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxStep[];
  /** Matrices by name, row-major. */
  readonly weights?: Readonly<
    Record<string, { readonly values: Float32Array<ArrayBuffer>; readonly shape: readonly number[] }>
  >;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
}

/** The bytes of a model whose arrays are f32 of two dimensions of any size. */
export function onnxModel(
  { nodes, weights = {}, inputs = ["x"], outputs = ["y"] }: OnnxGraph,
): Promise<Uint8Array<ArrayBuffer>> {
  const value = (name: string): OnnxValue => ({ name, dtype: "F32", shape: ["rows", ""] });
  return encodeOnnx({
    opsets: { "": 18 },
    nodes: nodes.map(({ output, ...node }) => ({ ...node, domain: "", outputs: [output], attributes: {} })),
    weights: Object.entries(weights).map(([name, { values, shape }]) => ({
      name,
      dtype: "F32",
      shape,
      data: new Uint8Array(values.slice().buffer),
    })),
    inputs: inputs.map(value),
    outputs: outputs.map(value),
    metadata: {},
  });
}
