// ONNX files, read: a graph of standard nodes with its weights. Everything is held against the bytes there are before it is
// used; what this package has no use for (subgraphs, functions, sparse weights, texts as weights) is refused by name.
import { openSource, type Place } from "./open_source.ts";
import { pathOf } from "./files.ts";
import {
  isExternal,
  type OnnxAttribute,
  type OnnxDtype,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "./onnx_model.ts";
import { checkLocation, dtypeOf, readTensor } from "./onnx_tensor.ts";
import { contentOf, type Field, fieldsOf, safe, textOf, wholeOf, wholesOf } from "./protobuf.ts";
import { quoted, type Refuse } from "./strict_json.ts";

/** Where protocol buffers end. */
const LARGEST = 2 ** 31 - 1;

/**
 * Reads a model from its file's bytes. Weights in files beside it stay there: {@linkcode readOnnx} finds them.
 * @param name What errors call it.
 * @throws {RangeError} when the bytes are cut short, damaged or no ONNX model, or hold what this reader does not take.
 * @example
 * ```ts
 * import { decodeOnnx } from "@switchyard/moe/formats";
 * import { assertThrows } from "@std/assert";
 * const cut = Uint8Array.of(0x08, 0x96);
 * assertThrows(() => decodeOnnx(cut, "mine"), RangeError, "Cannot read mine: it ends inside a whole number");
 * ```
 */
export function decodeOnnx(bytes: Uint8Array, name = "an ONNX model"): OnnxModel {
  const refuse: Refuse = (why) => {
    throw new RangeError(`Cannot read ${name}: ${why}`);
  };
  let graph: Uint8Array | null = null;
  const opsets: [string, number][] = [];
  const metadata: [string, string][] = [];
  for (const field of fieldsOf(bytes, refuse)) {
    switch (field.number) {
      case 7:
        if (graph) refuse("it has two graphs");
        graph = contentOf(field, refuse);
        break;
      case 8: {
        const { text, whole } = pairOf(field, refuse);
        opsets.push([text, whole]);
        break;
      }
      case 14: {
        const { text, value } = pairOf(field, refuse);
        metadata.push([text, value]);
        break;
      }
      case 25:
        refuse("it defines functions of its own, and this reader takes standard operators alone");
    }
  }
  return {
    opsets: Object.fromEntries(opsets),
    ...readGraph(graph ?? refuse("it has no graph; is it an ONNX model?"), refuse),
    metadata: Object.fromEntries(metadata),
  };
}

/**
 * Reads a model from a path, a Blob or bytes. Weights in files beside it are read by range when they are asked for; they need a
 * path.
 * @throws {RangeError} as {@linkcode decodeOnnx} does, and for weights outside the model's folder.
 * @throws {Error} when a file cannot be read, saying why.
 * @example
 * ```ts
 * import { encodeOnnx, readOnnx } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const empty = { opsets: { "": 18 }, nodes: [], weights: [], inputs: [], outputs: [], metadata: {} };
 * assertEquals(await readOnnx(new Blob([await encodeOnnx(empty)])), empty);
 * ```
 */
export async function readOnnx(place: Place): Promise<OnnxModel> {
  const source = await openSource(place);
  if (source.bytes > LARGEST) {
    throw new RangeError(
      `Cannot read ${source.name}: it has ${source.bytes} bytes, and the format ends at 2 GiB`,
    );
  }
  const bytes = new Uint8Array(source.bytes);
  await source.read(0, bytes);
  const model = decodeOnnx(bytes, source.name);
  const path = typeof place === "string" || place instanceof URL ? pathOf(place) : null;
  const weights = await Promise.all(model.weights.map((tensor) => withItsBytes(tensor, path, source.name)));
  return { ...model, weights };
}

/** Bytes in another file become bytes to be read from there. */
async function withItsBytes(tensor: OnnxTensor, path: string | null, name: string): Promise<OnnxTensor> {
  const { data } = tensor;
  if (!isExternal(data)) return tensor;
  const refuse: Refuse = (why) => {
    throw new RangeError(`Cannot read tensor ${quoted(tensor.name)} of ${name}: ${why}`);
  };
  const { location, offset, bytes } = data;
  if (path === null) return refuse(`it lies in ${quoted(location)}, beside a file, and no path is known`);
  checkLocation(location, refuse);
  const source = await openSource(path.slice(0, path.lastIndexOf("/") + 1) + location);
  if (offset + bytes > source.bytes) {
    refuse(`it is said to end at byte ${offset + bytes} of ${location}, which has ${source.bytes}`);
  }
  return {
    ...tensor,
    data: {
      length: bytes,
      async make() {
        const into = new Uint8Array(bytes);
        await source.read(offset, into);
        return into;
      },
    },
  };
}

/** A message of a text and a whole number, or of two texts. */
function pairOf(field: Field, refuse: Refuse): { text: string; value: string; whole: number } {
  const pair = { text: "", value: "", whole: 0 };
  for (const part of fieldsOf(contentOf(field, refuse), refuse)) {
    if (part.number === 1) pair.text = textOf(part, refuse);
    if (part.number !== 2) continue;
    if (part.whole === null) pair.value = textOf(part, refuse);
    else pair.whole = wholeOf(part, refuse);
  }
  return pair;
}

function readGraph(
  bytes: Uint8Array,
  refuse: Refuse,
): Pick<OnnxModel, "nodes" | "weights" | "inputs" | "outputs"> {
  const [nodes, weights]: [OnnxNode[], OnnxTensor[]] = [[], []];
  const [inputs, outputs]: [OnnxValue[], OnnxValue[]] = [[], []];
  for (const field of fieldsOf(bytes, refuse)) {
    switch (field.number) {
      case 1:
        nodes.push(readNode(contentOf(field, refuse), refuse));
        break;
      case 5:
        weights.push(readTensor(contentOf(field, refuse), refuse));
        break;
      case 11:
        inputs.push(readValue(contentOf(field, refuse), refuse));
        break;
      case 12:
        outputs.push(readValue(contentOf(field, refuse), refuse));
        break;
      case 15:
        refuse("it has sparse weights, and this reader takes dense ones alone");
    }
  }
  return { nodes, weights, inputs, outputs };
}

function readNode(bytes: Uint8Array, refuse: Refuse): OnnxNode {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes: [string, OnnxAttribute][] = [];
  let [op, domain] = ["", ""];
  for (const field of fieldsOf(bytes, refuse)) {
    switch (field.number) {
      case 1:
        inputs.push(textOf(field, refuse));
        break;
      case 2:
        outputs.push(textOf(field, refuse));
        break;
      case 4:
        op = textOf(field, refuse);
        break;
      case 5:
        attributes.push(readAttribute(contentOf(field, refuse), refuse));
        break;
      case 7:
        domain = textOf(field, refuse);
        break;
    }
  }
  if (op === "") refuse("a node has no operator");
  return {
    op,
    domain: domain === "ai.onnx" ? "" : domain,
    inputs,
    outputs,
    attributes: Object.fromEntries(attributes),
  };
}

/** Fields an attribute may have, by the number of its kind in field 20; files of before that number tell by the field. */
function readAttribute(bytes: Uint8Array, refuse: Refuse): [string, OnnxAttribute] {
  let name = "";
  let value: OnnxAttribute | null = null;
  let kind = 0;
  const [ints, floats]: [number[], number[]] = [[], []];
  for (const field of fieldsOf(bytes, refuse)) {
    switch (field.number) {
      case 1:
        name = textOf(field, refuse);
        break;
      case 2:
        value = { float: floatsOf(field, refuse)[0] };
        break;
      case 3:
        value = { int: wholeOf(field, refuse) };
        break;
      case 4:
        value = { text: textOf(field, refuse) };
        break;
      case 5:
        value = { tensor: readTensor(contentOf(field, refuse), refuse) };
        break;
      case 7:
        for (const float of floatsOf(field, refuse)) floats.push(float);
        break;
      case 8:
        for (const int of wholesOf(field, refuse)) ints.push(safe(int, refuse));
        break;
      case 20:
        kind = wholeOf(field, refuse);
        break;
      case 6:
      case 9:
      case 10:
      case 11:
        refuse(`attribute ${quoted(name)} is a subgraph or a list of texts, which this reader does not take`);
    }
  }
  if (kind === 6 || floats.length > 0) return [name, { floats }];
  if (kind === 7 || ints.length > 0) return [name, { ints }];
  // What is 0 or empty need not be written.
  const empty: Readonly<Record<number, OnnxAttribute>> = { 1: { float: 0 }, 2: { int: 0 }, 3: { text: "" } };
  return [name, value ?? empty[kind] ?? refuse(`attribute ${quoted(name)} has no value`)];
}

function floatsOf({ number, whole, bytes }: Field, refuse: Refuse): Float32Array {
  if (whole !== null || bytes.length % 4 !== 0 || bytes.length === 0) {
    refuse(`field ${number} is no 32-bit float`);
  }
  return new Float32Array(bytes.slice().buffer);
}

function readValue(bytes: Uint8Array, refuse: Refuse): OnnxValue {
  let name = "";
  let type: Pick<OnnxValue, "dtype" | "shape"> | null = null;
  for (const field of fieldsOf(bytes, refuse)) {
    if (field.number === 1) name = textOf(field, refuse);
    if (field.number === 2) {
      type = readType(contentOf(field, refuse), (why) => refuse(`${quoted(name)} ${why}`));
    }
  }
  return { name, ...(type ?? refuse(`${quoted(name)} has no type`)) };
}

function readType(bytes: Uint8Array, refuse: Refuse): Pick<OnnxValue, "dtype" | "shape"> {
  let dtype: OnnxDtype | null = null;
  const shape: (number | string)[] = [];
  for (const field of fieldsOf(bytes, refuse)) {
    if (field.number !== 1) refuse("is no tensor");
    for (const part of fieldsOf(contentOf(field, refuse), refuse)) {
      if (part.number === 1) dtype = dtypeOf(wholeOf(part, refuse), refuse);
      if (part.number !== 2) continue;
      for (const size of fieldsOf(contentOf(part, refuse), refuse)) shape.push(readSize(size, refuse));
    }
  }
  return { dtype: dtype ?? refuse("does not say what kind of numbers it has"), shape };
}

/** A number, a name, or "" for any size. */
function readSize(field: Field, refuse: Refuse): number | string {
  for (const part of fieldsOf(contentOf(field, refuse), refuse)) {
    if (part.number === 1) return wholeOf(part, refuse);
    if (part.number === 2) return textOf(part, refuse);
  }
  return "";
}
