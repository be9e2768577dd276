// ONNX models at work in onnxruntime-web, WebAssembly on one thread, wherever this runs. The package is optional: it is loaded when
// a model is opened, and whoever does not open one need not have it.
import { pathOf, readBytes } from "./files.ts";
import { checkLocation } from "./onnx_tensor.ts";
import { contentOf, fieldsOf, textOf } from "./protobuf.ts";

/** Values that go into a model or come out of it. */
export interface OnnxArray {
  /** Row-major. */
  readonly shape: readonly number[];
  /** 32-bit floats, or whole numbers of 64 or 32 bits. */
  readonly values: Float32Array | BigInt64Array | Int32Array;
}

/** A model that is ready to run. */
export interface OnnxSession extends AsyncDisposable {
  /** Names of its inputs. */
  readonly inputs: readonly string[];
  /** Names of its outputs. */
  readonly outputs: readonly string[];
  /**
   * Runs it once.
   * @throws {Error} when the runtime refuses, in its words.
   */
  run(inputs: Readonly<Record<string, OnnxArray>>): Promise<Readonly<Record<string, OnnxArray>>>;
}

/** What is used of onnxruntime-web. */
interface Runtime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly InferenceSession: { create(model: Uint8Array, options: unknown): Promise<Session> };
  readonly Tensor: new (type: string, values: OnnxArray["values"], dims: readonly number[]) => RuntimeTensor;
}

interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, RuntimeTensor>>): Promise<Readonly<Record<string, RuntimeTensor>>>;
  release(): Promise<void>;
}

interface RuntimeTensor {
  readonly dims: readonly number[];
  readonly data: OnnxArray["values"];
}

/**
 * Opens a model in onnxruntime-web. Weights beside its file are found there.
 * @param place Its path, or its bytes.
 * @throws {Error} when the package is not there, or the runtime refuses the model, saying why.
 * @example
 * ```ts
 * import { encodeOnnx, openOnnx } from "@switchyard/moe/formats";
 * import { assertEquals } from "@std/assert";
 * const x = { name: "x", dtype: "F32", shape: ["N"] } as const;
 * const nodes = [{ op: "Relu", domain: "", inputs: ["x"], outputs: ["y"], attributes: {} }];
 * const outputs = [{ ...x, name: "y" }];
 * const model = { opsets: { "": 18 }, nodes, weights: [], inputs: [x], outputs, metadata: {} };
 * await using session = await openOnnx(await encodeOnnx(model));
 * const { y } = await session.run({ x: { shape: [2], values: Float32Array.of(-1, 3) } });
 * assertEquals(y, { shape: [2], values: Float32Array.of(0, 3) });
 * ```
 */
export async function openOnnx(place: string | URL | Uint8Array): Promise<OnnxSession> {
  const runtime = await loadRuntime();
  const path = place instanceof Uint8Array ? null : pathOf(place);
  const name = path ?? "an ONNX model";
  const bytes = place instanceof Uint8Array ? place : await readBytes(place);
  const options = {
    executionProviders: ["wasm"],
    logSeverityLevel: 3,
    externalData: path === null ? [] : await filesBeside(bytes, path),
  };
  const session = await saying(`open ${name}`, () => runtime.InferenceSession.create(bytes, options));
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(inputs) {
      const feeds = Object.entries(inputs).map(([input, { shape, values }]) =>
        [input, new runtime.Tensor(typeOf(values), values, shape)] as const
      );
      const found = await saying(`run ${name}`, () => session.run(Object.fromEntries(feeds)));
      return Object.fromEntries(
        Object.entries(found).map(([output, { dims, data }]) => [output, { shape: [...dims], values: data }]),
      );
    },
    [Symbol.asyncDispose]: () => session.release(),
  };
}

async function loadRuntime(): Promise<Runtime> {
  // A variable keeps whoever checks or bundles this package from fetching the other.
  const packageName = "onnxruntime-web";
  let runtime: Runtime;
  try {
    runtime = await import(packageName);
  } catch (cause) {
    throw new Error(
      "Cannot run ONNX models: the package onnxruntime-web is not there; add npm:onnxruntime-web to your project",
      { cause },
    );
  }
  // More threads than one wait for each other forever in Deno when memory grows.
  runtime.env.wasm.numThreads = 1;
  return runtime;
}

/** The runtime's errors, with what was to be done. */
async function saying<Result>(what: string, body: () => Promise<Result>): Promise<Result> {
  try {
    return await body();
  } catch (cause) {
    const { message } = cause as Error;
    throw new Error(`Cannot ${what} in onnxruntime-web: ${message.trim().replace(/[.!]$/, "")}`, { cause });
  }
}

function typeOf(values: OnnxArray["values"]): string {
  if (values instanceof Float32Array) return "float32";
  return values instanceof Int32Array ? "int32" : "int64";
}

/** The files that a model's weights lie in, whole. */
async function filesBeside(model: Uint8Array, path: string): Promise<{ path: string; data: Uint8Array }[]> {
  const never = (why: string): never => {
    throw new RangeError(`Cannot read ${path}: ${why}`);
  };
  const inside = (message: Uint8Array, number: number) =>
    [...fieldsOf(message, never)].filter((field) => field.number === number);
  const messages = (message: Uint8Array, number: number) =>
    inside(message, number).map((field) => contentOf(field, never));
  const locations = messages(model, 7).flatMap((graph) => messages(graph, 5))
    .flatMap((tensor) => messages(tensor, 13))
    .filter((entry) => inside(entry, 1).some((key) => textOf(key, never) === "location"))
    .flatMap((entry) => inside(entry, 2).map((value) => textOf(value, never)));
  for (const location of locations) checkLocation(location, (why) => never(`of its weights, ${why}`));
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const files = [...new Set(locations)].map((location) => [location, folder + location] as const);
  return await Promise.all(
    files.map(async ([location, file]) => ({ path: location, data: await readBytes(file) })),
  );
}
