// ONNX files, written a tensor at a time and whole or not at all. What is larger than one file may be (protocol buffers end at
// 2 GiB) lies in files beside it, each of 1 GiB or so, since a browser takes a file in one piece.
import { writeAtomic } from "./files.ts";
import {
  bytesOfTensor,
  isExternal,
  type OnnxAttribute,
  onnxDtypes,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "./onnx_model.ts";
import { type MessageWriter, messageWriter, type Piece } from "./protobuf.ts";

/** Version of the file format: of May 2023, which every reader of opset 18 takes. */
const IR_VERSION = 8;
/** A model of more bytes than this has its weights beside it; the format ends at 2^31. */
const ONE_FILE = 2 ** 31 - 2 ** 24;
/** A file of weights is closed where the next tensor would take it past this. */
const DATA_FILE = 2 ** 30;
/** Weights of fewer bytes stay in the model. */
const SMALL = 1024;
/** Tensors begin at multiples of this, so that readers can map them. */
const PAGE = 4096;

/** How weights are laid out. */
export interface OnnxLayout {
  /** A model of more bytes has its weights in files beside it; by default 2 GiB, where the format ends. */
  readonly oneFileBytes?: number;
  /** The most of such a file, unless a single tensor is larger; by default 1 GiB. */
  readonly dataFileBytes?: number;
}

/**
 * A model's file in memory, weights and all.
 * @throws {RangeError} when it would be longer than the format allows.
 * @example
 * ```ts
 * import { decodeOnnx, encodeOnnx, type OnnxModel } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const x = { name: "x", dtype: "F32", shape: ["N", 2] } as const;
 * const model: OnnxModel = {
 *   opsets: { "": 18 },
 *   nodes: [{ op: "Relu", domain: "", inputs: ["x"], outputs: ["y"], attributes: {} }],
 *   weights: [],
 *   inputs: [x],
 *   outputs: [{ ...x, name: "y" }],
 *   metadata: {},
 * };
 * assertEquals(decodeOnnx(await encodeOnnx(model)), model);
 * ```
 */
export async function encodeOnnx(model: OnnxModel): Promise<Uint8Array<ArrayBuffer>> {
  const { pieces, length } = messageOf(model);
  checkLength(length);
  const file = new Uint8Array(length);
  let at = 0;
  for await (const bytes of made(pieces)) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

/**
 * Writes a model, and where it is too large for one file its weights beside it: `model.onnx.0.data` and so on, before the model
 * itself. Tensors to be made are made one after another.
 * @returns The names of all files, the model's first.
 * @throws {Error} when a file cannot be written or a tensor not made, saying why; what was at `path` is still there then.
 * @example
 * ```ts
 * import { type OnnxModel, readOnnx, writeOnnx } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const data = new Uint8Array(Float32Array.of(1, 2).buffer);
 * const y = { name: "y", dtype: "F32", shape: [2], data } as const;
 * const model: OnnxModel = { opsets: { "": 18 }, nodes: [], weights: [y], inputs: [], outputs: [y], metadata: {} };
 * const folder = await Deno.makeTempDir();
 * assertEquals(await writeOnnx(`${folder}/m.onnx`, model), ["m.onnx"]);
 * assertEquals((await readOnnx(`${folder}/m.onnx`)).weights[0].data, data);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeOnnx(
  path: string,
  model: OnnxModel,
  { oneFileBytes = ONE_FILE, dataFileBytes = DATA_FILE }: OnnxLayout = {},
): Promise<string[]> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const whole = messageOf(model);
  if (whole.length <= oneFileBytes) {
    await writeAtomic(path, made(whole.pieces));
    return [name];
  }
  const { weights, files } = layOut(model.weights, name, dataFileBytes);
  const split = messageOf({ ...model, weights });
  checkLength(split.length);
  const folder = path.slice(0, path.length - name.length);
  for (const file of files) await writeAtomic(folder + file.name, made(file.pieces));
  await writeAtomic(path, made(split.pieces));
  return [name, ...files.map((file) => file.name)];
}

function checkLength(length: number): void {
  if (length <= ONE_FILE) return;
  throw new RangeError(
    `Cannot write an ONNX model of ${length} bytes as one message: the format ends at 2 GiB; write it to a file`,
  );
}

async function* made(pieces: readonly Piece[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    const bytes = piece instanceof Uint8Array ? piece : await piece.make();
    if (bytes.length !== piece.length) {
      throw new RangeError(
        `Cannot write an ONNX model: a tensor was made with ${bytes.length} bytes, not ${piece.length}`,
      );
    }
    yield bytes;
  }
}

/** A file of weights under construction. */
interface DataFile {
  readonly name: string;
  readonly pieces: Piece[];
  bytes: number;
}

function layOut(
  weights: readonly OnnxTensor[],
  name: string,
  dataFileBytes: number,
): { readonly weights: OnnxTensor[]; readonly files: readonly DataFile[] } {
  const files: DataFile[] = [];
  const placed = weights.map((tensor): OnnxTensor => {
    const { data } = tensor;
    const bytes = bytesOfTensor(tensor);
    if (isExternal(data) || bytes < SMALL) return tensor;
    let file = files.at(-1);
    if (!file || file.bytes > 0 && file.bytes + bytes > dataFileBytes) {
      files.push(file = { name: `${name}.${files.length}.data`, pieces: [], bytes: 0 });
    }
    const offset = Math.ceil(file.bytes / PAGE) * PAGE;
    file.pieces.push(new Uint8Array(offset - file.bytes), data);
    file.bytes = offset + bytes;
    return { ...tensor, data: { location: file.name, offset, bytes } };
  });
  return { weights: placed, files };
}

function messageOf(model: OnnxModel): MessageWriter {
  const graph = messageWriter();
  for (const node of model.nodes) graph.message(1, nodeMessage(node));
  graph.text(2, "switchyard");
  for (const tensor of model.weights) graph.message(5, tensorMessage(tensor));
  for (const value of model.inputs) graph.message(11, valueMessage(value));
  for (const value of model.outputs) graph.message(12, valueMessage(value));
  const file = messageWriter().whole(1, IR_VERSION).text(2, "switchyard").message(7, graph);
  for (const [domain, version] of Object.entries(model.opsets)) {
    file.message(8, messageWriter().text(1, domain).whole(2, version));
  }
  for (const [key, value] of Object.entries(model.metadata)) {
    file.message(14, messageWriter().text(1, key).text(2, value));
  }
  return file;
}

function nodeMessage({ op, domain, inputs, outputs, attributes }: OnnxNode): MessageWriter {
  const message = messageWriter();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(4, op);
  for (const [name, value] of Object.entries(attributes)) message.message(5, attributeMessage(name, value));
  return domain === "" ? message : message.text(7, domain);
}

/** Field 20 says which kind of setting it is. */
function attributeMessage(name: string, value: OnnxAttribute): MessageWriter {
  const message = messageWriter().text(1, name);
  if ("float" in value) return message.float(2, value.float).whole(20, 1);
  if ("int" in value) return message.whole(3, value.int).whole(20, 2);
  if ("text" in value) return message.text(4, value.text).whole(20, 3);
  if ("tensor" in value) return message.message(5, tensorMessage(value.tensor)).whole(20, 4);
  if ("floats" in value) {
    for (const float of value.floats) message.float(7, float);
    return message.whole(20, 6);
  }
  for (const int of value.ints) message.whole(8, int);
  return message.whole(20, 7);
}

function tensorMessage({ name, dtype, shape, data }: OnnxTensor): MessageWriter {
  const message = messageWriter();
  for (const size of shape) message.whole(1, size);
  message.whole(2, onnxDtypes[dtype]).text(8, name);
  if (!isExternal(data)) return message.bytes(9, data);
  const entry = (key: string, value: unknown) => messageWriter().text(1, key).text(2, String(value));
  return message.message(13, entry("location", data.location)).message(13, entry("offset", data.offset))
    .message(13, entry("length", data.bytes)).whole(14, 1);
}

function valueMessage({ name, dtype, shape }: OnnxValue): MessageWriter {
  const sizes = messageWriter();
  for (const size of shape) {
    sizes.message(
      1,
      typeof size === "number" ? messageWriter().whole(1, size) : messageWriter().text(2, size),
    );
  }
  const tensor = messageWriter().whole(1, onnxDtypes[dtype]).message(2, sizes);
  return messageWriter().text(1, name).message(2, messageWriter().message(1, tensor));
}
