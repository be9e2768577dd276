// ONNX models of rows: one input and one output, as many rows out as in.
import { openOnnx } from "../../formats/onnx_session.ts";

/** A model that is open. */
export interface RowModel {
  /** Rows of width D, one after the other, and what the model makes of them: as many. */
  run(rows: Float32Array): Promise<Float32Array>;
  /** Frees its memory. */
  close(): Promise<void>;
}

/**
 * Opens a model of rows of width D.
 * @throws {Error} when onnxruntime-web is not there; or when the file cannot be read or is no model of one input and one
 * output, naming it.
 */
export async function openModel(path: string, D: number): Promise<RowModel> {
  const session = await openOnnx(path);
  const { inputs, outputs } = session;
  if (inputs.length !== 1 || outputs.length !== 1) {
    await session.close();
    throw new RangeError(
      `Cannot use ${path} as an expert: it takes ${listOf(inputs)} and gives ${
        listOf(outputs)
      }; an expert has one ` +
        "input and one output",
    );
  }
  return {
    async run(rows) {
      const shape = [rows.length / D, D];
      const { [outputs[0]]: found } = await session.run({ [inputs[0]]: { shape, values: rows } });
      if (!(found.values instanceof Float32Array) || String(found.shape) !== String(shape)) {
        throw new RangeError(
          `Cannot use ${path} as an expert: of rows [${
            shape.join(", ")
          }] it makes ${found.values.constructor.name} ` +
            `[${found.shape.join(", ")}]`,
        );
      }
      return found.values.slice();
    },
    close: () => session.close(),
  };
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : names.map((name) => `"${name}"`).join(", ");
}
