// What a forward pass does, written down instead of done: a handle on a model's backend on which kernels make nothing but notes.
// Whatever is written with ops can be followed that way, routers and experts of somebody else's included.
import type { ArrayType, Backend, Buffer, HostArray, Kernel } from "../../kernels/kernel.ts";
import { fork } from "../../tensor/context.ts";

/** One kernel that would have run. */
export interface Step {
  readonly kernel: string;
  readonly inputs: readonly Traced[];
  readonly params: Readonly<Record<string, unknown>>;
}

/** Where a value comes from: its input's name, memory of the model, numbers of the program, a kernel, or another shape. */
export type Origin =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "stored"; readonly buffer: Buffer }
  | { readonly kind: "numbers"; readonly values: HostArray }
  | { readonly kind: "made"; readonly step: Step; readonly output: number }
  | { readonly kind: "view"; readonly of: Traced };

/** A value that was not computed. */
export interface Traced extends Buffer {
  readonly origin: Origin;
}

/** A trace under way. */
export interface Trace {
  /** To be handed to what is traced. Reading values is refused. */
  readonly backend: Backend;
  /** Numbers that, once uploaded, are an input of this name. */
  input<Values extends HostArray>(name: string, values: Values): Values;
  /** The trace's value of a tensor's buffer. */
  valueOf(buffer: Buffer): Traced;
}

/**
 * Opens a trace beside a model. Parameters on `backend` are seen as they are; nothing on it changes.
 * @param refuseRead What to throw when a value is to be read.
 */
export function openTrace(backend: Backend, refuseRead: () => Error): Trace {
  const inputs = new Map<HostArray, string>();
  const known = new WeakMap<Buffer, Traced>();
  const make = (type: ArrayType, origin: Origin): Traced => ({ type, origin });
  const valueOf = (buffer: Buffer): Traced => {
    if ("origin" in buffer) return buffer as Traced;
    let value = known.get(buffer);
    if (!value) known.set(buffer, value = make(buffer.type, { kind: "stored", buffer }));
    return value;
  };
  const noting: Partial<Backend> = {
    upload(values, shape) {
      const dtype = values instanceof Int32Array ? "i32" : "f32";
      const name = inputs.get(values);
      const origin: Origin = name === undefined
        ? { kind: "numbers", values: values.slice() }
        : { kind: "input", name };
      return make({ dtype, shape: [...shape] }, origin);
    },
    run<P>(kernel: Kernel<P>, given: readonly Buffer[], params: P): Buffer[] {
      const types = kernel.outputs(given.map(({ type }) => type), params);
      const step: Step = {
        kernel: kernel.name,
        inputs: given.map(valueOf),
        params: (params ?? {}) as Step["params"],
      };
      return types.map((type, output) => make(type, { kind: "made", step, output }));
    },
    alias: (buffer, shape) =>
      make({ dtype: buffer.type.dtype, shape: [...shape] }, { kind: "view", of: valueOf(buffer) }),
    read: () => Promise.reject(refuseRead()),
    free: () => {},
  };
  return {
    backend: Object.assign(fork(backend), noting),
    input(name, values) {
      inputs.set(values, name);
      return values;
    },
    valueOf,
  };
}
