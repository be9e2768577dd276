// ONNX models of rows, run by the npm package onnxruntime-web, which is loaded when the first of them is opened.
import { openSource } from "../../formats/open_source.ts";
import { loadPackage } from "../../formats/packages.ts";

/** What is used of an array of onnxruntime-web. */
interface OrtTensor {
  readonly type: string;
  readonly dims: readonly number[];
  getData(): Promise<ArrayLike<number>>;
}

interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

/** What is used of onnxruntime-web. */
interface Ort {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly InferenceSession: { create(model: Uint8Array, options: unknown): Promise<OrtSession> };
  readonly Tensor: new (type: "float32", values: Float32Array, dims: readonly number[]) => OrtTensor;
}

/** A model that is open. */
export interface RowModel {
  /** Rows of width D, one after the other, and what the model makes of them: as many. */
  run(rows: Float32Array): Promise<Float32Array>;
  /** Frees its memory. */
  close(): Promise<void>;
}

/**
 * Opens a model of rows of width D.
 * @throws {Error} when onnxruntime-web can be neither found nor downloaded; or when the file cannot be read or is no model of one input and one
 * output, naming it.
 */
export async function openModel(path: string, D: number): Promise<RowModel> {
  const ort = await loadRuntime();
  const source = await openSource(path);
  const bytes = new Uint8Array(source.bytes);
  await source.read(0, bytes);
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ["wasm"],
    logSeverityLevel: 4,
  })
    .catch((cause: unknown) => {
      throw new Error(`Cannot open ${path} as an ONNX model: ${reasonOf(cause)}`, { cause });
    });
  const { inputNames, outputNames } = session;
  if (inputNames.length !== 1 || outputNames.length !== 1) {
    await session.release();
    throw new RangeError(
      `Cannot use ${path} as an expert: it takes ${listOf(inputNames)} and gives ${
        listOf(outputNames)
      }; an expert has ` +
        "one input and one output",
    );
  }
  return {
    async run(rows) {
      const N = rows.length / D;
      const feeds = { [inputNames[0]]: new ort.Tensor("float32", rows, [N, D]) };
      const { [outputNames[0]]: found } = await session.run(feeds).catch((cause: unknown) => {
        throw new Error(`Cannot run ${path} on rows [${N}, ${D}]: ${reasonOf(cause)}`, { cause });
      });
      if (found.type !== "float32" || String(found.dims) !== String([N, D])) {
        throw new RangeError(
          `Cannot use ${path} as an expert: of rows [${N}, ${D}] it makes ${found.type} [${
            found.dims.join(", ")
          }]`,
        );
      }
      return Float32Array.from(await found.getData());
    },
    close: () => session.release(),
  };
}

async function loadRuntime(): Promise<Ort> {
  const ort = await loadPackage<Ort>("onnxruntime-web");
  // Its threads hang in Deno when memory grows (denoland/deno#35658); whoever set a number before keeps it.
  ort.env.wasm.numThreads ||= 1;
  return ort;
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : names.map((name) => `"${name}"`).join(", ");
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0];
}
