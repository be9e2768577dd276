// Values on a backend that remember how they were made. A tensor is never changed in place; only a parameter gets
// new values, from the optimizer.
import {
  type Backend,
  type Buffer,
  type DType,
  type HostArray,
  type Kernel,
  shapeText,
  sizeOf,
} from "../kernels/kernel.ts";
import { disown, own } from "./memory.ts";
import { currentStage } from "./stage.ts";

/** Values with a shape on a backend. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly backend: Backend;
  readonly buffer: Buffer;
  /** The tensor whose memory this one shares; itself unless it is a reshape. */
  readonly root: Tensor;
  /** How it was made, when it depends on a parameter. */
  readonly made?: Made;
  /** True for a {@linkcode Parameter}. */
  readonly trainable: boolean;
  /** A copy of the values on the host, row-major. */
  read(): Promise<HostArray>;
}

/** A tensor's origin: its parents and, for each, how a gradient travels back to it. */
export interface Made {
  readonly from: readonly Tensor[];
  readonly pullbacks: readonly Pullback[];
  readonly stage: string;
}

/** From the gradient of a result to the gradient of one parent. */
export type Pullback = (gradient: Tensor) => Tensor | Promise<Tensor>;

/** A tensor that training changes. It belongs to no memory scope. */
export interface Parameter extends Tensor {
  readonly trainable: true;
  /** Takes over the values of a tensor of the same shape, which must not be used afterwards. */
  assign(values: Tensor): void;
}

function wrap(backend: Backend, buffer: Buffer, made?: Made, root?: Tensor): Tensor {
  const { shape, dtype } = buffer.type;
  const tensor = {
    shape,
    dtype,
    backend,
    buffer,
    trainable: false,
    read: () => backend.read(buffer),
    ...(made ? { made } : {}),
  } as { -readonly [K in keyof Tensor]: Tensor[K] };
  tensor.root = root ?? tensor;
  return tensor;
}

/**
 * Copies host values to a backend. Numbers become f32 unless an Int32Array is given.
 * @param shape Row-major; its product must be the number of values.
 * @throws {RangeError} when it is not.
 */
export function tensor(
  backend: Backend,
  values: HostArray | readonly number[],
  shape: readonly number[],
): Tensor {
  const host = values instanceof Float32Array || values instanceof Int32Array
    ? values
    : Float32Array.from(values);
  const made = wrap(backend, backend.upload(host, shape));
  own(made);
  return made;
}

/** A parameter with the given initial values. */
export function parameter(backend: Backend, values: Float32Array, shape: readonly number[]): Parameter {
  let buffer = backend.upload(values, shape);
  const made = {
    shape: [...shape],
    dtype: "f32" as const,
    backend,
    get buffer() {
      return buffer;
    },
    trainable: true as const,
    read: () => backend.read(buffer),
    assign(next: Tensor) {
      if (shapeText(next.shape) !== shapeText(shape)) {
        throw new RangeError(
          `Cannot assign shape ${shapeText(next.shape)} to a parameter of ${shapeText(shape)}`,
        );
      }
      disown(next);
      backend.free(buffer);
      buffer = next.buffer;
    },
  } as unknown as { -readonly [K in keyof Parameter]: Parameter[K] };
  made.root = made;
  return made;
}

/** Runs a kernel on tensors; results carry no gradient. */
export function apply<P>(kernel: Kernel<P>, inputs: readonly Tensor[], params: P, on?: Backend): Tensor[] {
  const backend = on ?? inputs[0].backend;
  for (const input of inputs) {
    if (input.backend !== backend) {
      throw new TypeError(`Cannot run ${kernel.name}: its inputs lie on two backends`);
    }
  }
  return backend.run(kernel, inputs.map((input) => input.buffer), params).map((buffer) => {
    const result = wrap(backend, buffer);
    own(result);
    return result;
  });
}

/** True when a gradient can travel through a tensor to a parameter. */
export function carriesGradient(tensor: Tensor): boolean {
  return tensor.trainable || tensor.made !== undefined;
}

/** The same result, remembering its parents; parents that depend on no parameter are left out. */
export function differentiable(result: Tensor, parents: readonly (readonly [Tensor, Pullback])[]): Tensor {
  const live = parents.filter(([parent]) => carriesGradient(parent));
  if (live.length === 0) return result;
  const made: Made = {
    from: live.map(([parent]) => parent),
    pullbacks: live.map(([, pullback]) => pullback),
    stage: currentStage(),
  };
  return wrap(result.backend, result.buffer, made, result.root);
}

/** The same values under another shape of equal size, in the same memory. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  const view = wrap(x.backend, x.backend.alias(x.buffer, shape), undefined, x.root);
  return differentiable(view, [[x, (gradient) => reshape(gradient, x.shape)]]);
}

/** The same values with no way back: gradients stop here. */
export function stopGradient(x: Tensor): Tensor {
  return wrap(x.backend, x.buffer, undefined, x.root);
}

/**
 * Checks a shape against one-letter dimension names and binds them: `dims(x_TD, "TD", { D: 64 })` gives `{ T, D }`.
 * @throws {RangeError} when the rank or a given dimension differs.
 */
export function dims<Names extends string>(
  x: Tensor,
  names: Names,
  known: Readonly<Record<string, number>> = {},
): Record<string, number> {
  const letters = [...names];
  if (letters.length !== x.shape.length) {
    throw new RangeError(`Cannot read shape ${shapeText(x.shape)} as [${letters.join(", ")}]`);
  }
  const bound: Record<string, number> = { ...known };
  letters.forEach((name, axis) => {
    if (name in bound && bound[name] !== x.shape[axis]) {
      throw new RangeError(
        `Cannot read shape ${shapeText(x.shape)} as [${letters.join(", ")}]: ${name} is ${bound[name]}`,
      );
    }
    bound[name] = x.shape[axis];
  });
  return bound;
}

/** Number of values. */
export function size(x: Tensor): number {
  return sizeOf(x.shape);
}
