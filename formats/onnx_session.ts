// ONNX models at work in onnxruntime-web, WebAssembly on one thread, wherever this runs. The package is optional: it is loaded when
// a model is opened, and whoever does not open one need not have it.
import { pathOf } from "./files.ts";
import { checkLocation } from "./onnx_tensor.ts";
import { openSource, type Place } from "./open_source.ts";
import { loadPackage } from "./packages.ts";
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
  /** Frees its memory, as the end of an `await using` does. */
  close(): Promise<void>;
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
 * @param place A path, an address, a Blob, bytes, or a source of your own.
 * @throws {Error} when the package can be neither found nor downloaded, or the runtime refuses the model, saying why.
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
export async function openOnnx(place: Place): Promise<OnnxSession> {
  const runtime = await loadRuntime();
  const source = await openSource(place);
  const bytes = new Uint8Array(source.bytes);
  await source.read(0, bytes);
  const path = typeof place === "string" || place instanceof URL ? pathOf(place) : null;
  const options = {
    executionProviders: ["wasm"],
    logSeverityLevel: 4,
    externalData: path === null ? [] : await filesBeside(bytes, path),
  };
  const session = await saying(
    `open ${source.name} as an ONNX model`,
    () => runtime.InferenceSession.create(bytes, options),
  );
  const close = () => session.release();
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(inputs) {
      const feeds = Object.entries(inputs).map(([input, { shape, values }]) =>
        [input, new runtime.Tensor(typeOf(values), values, shape)] as const
      );
      const shapes = Object.entries(inputs).map(([input, { shape }]) => `${input} [${shape.join(", ")}]`);
      const found = await saying(
        `run ${source.name} on ${shapes.join(" and ")}`,
        () => session.run(Object.fromEntries(feeds)),
      );
      return Object.fromEntries(
        Object.entries(found).map(([output, { dims, data }]) => [output, { shape: [...dims], values: data }]),
      );
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function loadRuntime(): Promise<Runtime> {
  const runtime = await loadPackage<Runtime>("onnxruntime-web");
  // Its threads hang in Deno when memory grows (denoland/deno#35658); whoever set a number before keeps it.
  runtime.env.wasm.numThreads ||= 1;
  return runtime;
}

/** The runtime's errors, with what was to be done. */
async function saying<Result>(what: string, body: () => Promise<Result>): Promise<Result> {
  try {
    return await body();
  } catch (cause) {
    throw new Error(`Cannot ${what}: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0].replace(/[.!]\s*$/, "");
}

function typeOf(values: OnnxArray["values"]): string {
  if (values instanceof Float32Array) return "float32";
  return values instanceof Int32Array ? "int32" : "int64";
}

/** The files that a model's weights lie in, whole. */
async function filesBeside(model: Uint8Array, path: string): Promise<{ path: string; data: Uint8Array }[]> {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  return await Promise.all([...new Set(locationsIn(model))].map(async (location) => {
    checkLocation(location, (why) => {
      throw new RangeError(`Cannot read weights of ${path}: ${why}`);
    });
    const source = await openSource(folder + location);
    const data = new Uint8Array(source.bytes);
    await source.read(0, data);
    return { path: location, data };
  }));
}

/** Where weights are said to lie; nowhere in what is no model, which the runtime refuses. */
function locationsIn(model: Uint8Array): string[] {
  const never = (why: string): never => {
    throw new RangeError(why);
  };
  const inside = (message: Uint8Array, number: number) =>
    [...fieldsOf(message, never)].filter((field) => field.number === number);
  const messages = (message: Uint8Array, number: number) =>
    inside(message, number).map((field) => contentOf(field, never));
  try {
    return messages(model, 7).flatMap((graph) => messages(graph, 5)).flatMap((tensor) => messages(tensor, 13))
      .filter((entry) => inside(entry, 1).some((key) => textOf(key, never) === "location"))
      .flatMap((entry) => inside(entry, 2).map((value) => textOf(value, never)));
  } catch {
    return [];
  }
}
