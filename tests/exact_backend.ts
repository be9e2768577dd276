// A backend that does in f64 what kernels' references say: exact enough for finite differences, and the judge of others.
import { type ArrayType, type Backend, type Buffer, type NumberArray, sizeOf } from "../kernels/kernel.ts";
import type { Tensor } from "../tensor/tensor.ts";

interface ExactBuffer extends Buffer {
  readonly values: NumberArray;
}

/** Opens one; nothing needs closing. */
export function exactBackend(): Backend {
  const made = (type: ArrayType, values: NumberArray): ExactBuffer => ({ type, values });
  return {
    name: "cpu",
    arithmetic: { device: "f64", fusedMultiplyAdd: false },
    dtypes: ["f32", "i32"],
    upload: (values, shape) =>
      values instanceof Int32Array
        ? made({ dtype: "i32", shape }, values.slice())
        : made({ dtype: "f32", shape }, Float64Array.from(values)),
    run(kernel, inputs, params) {
      const types = inputs.map(({ type }) => type);
      const outputs = kernel.outputs(types, params).map((type) =>
        made(type, new (type.dtype === "i32" ? Int32Array : Float64Array)(sizeOf(type.shape)))
      );
      const valuesOf = (buffers: readonly Buffer[]) => buffers.map((each) => (each as ExactBuffer).values);
      kernel.reference(valuesOf(inputs), valuesOf(outputs), types, params);
      return outputs;
    },
    read(buffer) {
      const { values } = buffer as ExactBuffer;
      return Promise.resolve(values instanceof Int32Array ? values.slice() : Float32Array.from(values));
    },
    alias: (buffer, shape) => made({ ...buffer.type, shape }, (buffer as ExactBuffer).values),
    free() {},
  };
}

/** The values themselves of a tensor on such a backend: what is written to them is there. */
export function exactValues({ buffer }: Tensor): NumberArray {
  return exactNumbers(buffer);
}

/** The same of what a tensor stands for. */
export function exactNumbers(buffer: Buffer): NumberArray {
  return (buffer as ExactBuffer).values;
}
