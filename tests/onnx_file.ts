// Small ONNX models as bytes, written field by field as the format's protocol buffers have them (onnx.proto, opset 18).

type Field = Uint8Array<ArrayBuffer>;

function varint(value: number): number[] {
  return value < 128 ? [value] : [value % 128 + 128, ...varint(Math.floor(value / 128))];
}

/** A field that holds a whole number. */
const whole = (field: number, value: number): Field =>
  Uint8Array.from([...varint(field * 8), ...varint(value)]);

/** A field that holds bytes: a word, packed values, or other fields. */
function held(field: number, ...parts: (Field | string)[]): Field {
  const bytes = parts.flatMap((part) =>
    Array.from(typeof part === "string" ? new TextEncoder().encode(part) : part)
  );
  return Uint8Array.from([...varint(field * 8 + 2), ...varint(bytes.length), ...bytes]);
}

/** f32 [N, columns] under a name; a size that is a word is any. */
function described(field: number, name: string, shape: readonly (number | string)[]): Field {
  const sizes = shape.map((size) => held(1, typeof size === "number" ? whole(1, size) : held(2, size)));
  return held(field, held(1, name), held(2, held(1, whole(1, 1), held(2, ...sizes))));
}

/** One operator. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
}

/** What a model is made of: `y` of `x` unless other inputs and outputs are named. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  /** Matrices by name, row-major. */
  readonly weights?: Readonly<
    Record<string, { readonly values: Float32Array; readonly shape: readonly number[] }>
  >;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
}

/** The bytes of a model whose arrays are f32 of two dimensions of any size. */
export function onnxModel({ nodes, weights = {}, inputs = ["x"], outputs = ["y"] }: OnnxGraph): Uint8Array {
  const graph = [
    ...nodes.map(({ op, inputs, output }) =>
      held(1, ...inputs.map((name) => held(1, name)), held(2, output), held(4, op))
    ),
    held(2, "graph"),
    ...Object.entries(weights).map(([name, { values, shape }]) =>
      held(
        5,
        ...shape.map((size) => whole(1, size)),
        whole(2, 1),
        held(8, name),
        held(9, new Uint8Array(values.slice().buffer)),
      )
    ),
    ...inputs.map((name) => described(11, name, ["rows", "columns"])),
    ...outputs.map((name) => described(12, name, ["rows", "any"])),
  ];
  return Uint8Array.from([...whole(1, 8), ...held(8, held(1, ""), whole(2, 18)), ...held(7, ...graph)]);
}
