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
import { bookDispatches } from "./dispatches.ts";
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
 * @example
 * ```ts
 * import { cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = tensor(backend, [1, 2, 3, 4, 5, 6], [2, 3]);
 * assertEquals([x.dtype, x.shape], ["f32", [2, 3]]);
 * assertEquals(await x.read(), Float32Array.of(1, 2, 3, 4, 5, 6));
 * backend.close();
 * ```
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

/**
 * A parameter with the given initial values; free its `buffer` on the backend when done with it.
 * @param shape Row-major; its product must be the number of values.
 * @throws {RangeError} when it is not, or when other values of another shape are assigned.
 * @example
 * ```ts
 * import { cpu, parameter, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const gate = parameter(backend, Float32Array.of(1, 2), [2]);
 * gate.assign(tensor(backend, [3, 4], [2]));
 * assertEquals(await gate.read(), Float32Array.of(3, 4));
 * backend.free(gate.buffer);
 * backend.close();
 * ```
 */
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

/**
 * Runs a kernel on tensors; results carry no gradient ({@linkcode differentiable} adds one).
 * @param on Where to run a kernel that has no inputs.
 * @throws {TypeError} when inputs lie on two backends or have the wrong element type; {RangeError} when shapes or
 * parameters do not fit the kernel.
 * @example
 * ```ts
 * import { apply, cpu, type Kernel, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const twice: Kernel<null> = {
 *   name: "twice",
 *   about: "y = 2 x.",
 *   outputs: ([x]) => [x],
 *   reference: ([x], [y]) => x.forEach((value, at) => y[at] = 2 * value),
 *   wasm: "affine",
 *   cpu: ([x]) => ({ units: 1, grain: 1, integers: [x.shape[0]], floats: [2, 0] }), // size; scale, shift
 *   cost: ([x]) => ({ flop: x.shape[0], bytes: 8 * x.shape[0] }),
 *   rounding: () => 1,
 *   cases: [],
 * };
 * const [y] = apply(twice, [tensor(backend, [1, 2, 3], [3])], null);
 * assertEquals(await y.read(), Float32Array.of(2, 4, 6));
 * backend.close();
 * ```
 */
export function apply<P>(kernel: Kernel<P>, inputs: readonly Tensor[], params: P, on?: Backend): Tensor[] {
  return run(kernel, inputs, params, on, false);
}

/**
 * Runs a kernel as {@linkcode apply} does, where the caller gives up what the kernel says its outputs may replace
 * (`replaces`): those inputs hold nothing afterwards, and are freed as ever.
 * @example
 * ```ts
 * import { applyOver, cpu, kernels, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const [logits_TV, target_T] = [tensor(backend, [0, 0], [1, 2]), tensor(backend, Int32Array.of(1), [1])];
 * const [logsumexp_T, one_T] = [tensor(backend, [Math.log(2)], [1]), tensor(backend, [1], [1])];
 * const inputs = [logits_TV, target_T, logsumexp_T, one_T];
 * const { usedBytes } = backend.statistics();
 * const [slope_TV] = applyOver(kernels.crossEntropyGradient, inputs, {}); // where the logits were
 * assertAlmostEquals((await slope_TV.read())[0], 0.5, 1e-6);
 * assertEquals(backend.statistics().usedBytes, usedBytes); // no array was made
 * backend.close();
 * ```
 */
export function applyOver<P>(kernel: Kernel<P>, inputs: readonly Tensor[], params: P): Tensor[] {
  return run(kernel, inputs, params, undefined, true);
}

function run<P>(
  kernel: Kernel<P>,
  inputs: readonly Tensor[],
  params: P,
  on: Backend | undefined,
  over: boolean,
): Tensor[] {
  const backend = on ?? inputs[0]?.backend;
  if (!backend) throw new TypeError(`Cannot run ${kernel.name}: without inputs it needs a backend`);
  for (const input of inputs) {
    if (input.backend !== backend) {
      throw new TypeError(`Cannot run ${kernel.name}: its inputs lie on two backends`);
    }
  }
  const before = backend.counts?.dispatches ?? 0;
  const made = backend.run(kernel, inputs.map((input) => input.buffer), params, over).map((buffer) => {
    const result = wrap(backend, buffer);
    own(result);
    return result;
  });
  if (backend.counts) bookDispatches(backend.counts.dispatches - before);
  return made;
}

/**
 * True when a gradient can travel through a tensor to a parameter.
 * @example
 * ```ts
 * import { carriesGradient, cpu, parameter, square, stopGradient } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const w = parameter(backend, Float32Array.of(1, 2), [2]);
 * assertEquals(carriesGradient(square(w)), true);
 * assertEquals(carriesGradient(stopGradient(square(w))), false);
 * backend.close();
 * ```
 */
export function carriesGradient(tensor: Tensor): boolean {
  return tensor.trainable || tensor.made !== undefined;
}

/**
 * The same result, remembering its parents; parents that depend on no parameter are left out.
 * @param parents Each with its pullback, which returns a new tensor of the parent's shape, or its argument.
 * @example
 * ```ts
 * import { cpu, differentiable, gradients, greater, parameter, sumAll, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * // A step function whose gradient passes as if it were the identity (Bengio et al. 2013, straight-through).
 * const x = parameter(backend, Float32Array.of(-1, 2), [2]);
 * const step = differentiable(greater(x, tensor(backend, [0], [1])), [[x, (gradient) => gradient]]);
 * const [gradient] = await gradients(sumAll(step), [x]);
 * assertEquals(await gradient!.read(), Float32Array.of(1, 1));
 * backend.close();
 * ```
 */
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

/**
 * The same values under another shape of equal size, in the same memory; the gradient is reshaped back.
 * @throws {RangeError} when the sizes differ.
 * @example
 * ```ts
 * import { cpu, reshape, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = reshape(tensor(backend, [1, 2, 3, 4], [2, 2]), [4, 1]);
 * assertEquals(x.shape, [4, 1]);
 * backend.close();
 * ```
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  const view = wrap(x.backend, x.backend.alias(x.buffer, shape), undefined, x.root);
  return differentiable(view, [[x, (gradient) => reshape(gradient, x.shape)]]);
}

/**
 * The same values with no way back: gradients stop here.
 * @example
 * ```ts
 * import { cpu, gradients, multiply, parameter, stopGradient, sumAll } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const w = parameter(backend, Float32Array.of(3), [1]);
 * const [gradient] = await gradients(sumAll(multiply(w, stopGradient(w))), [w]);
 * assertEquals(await gradient!.read(), Float32Array.of(3)); // of w w it would be 6
 * backend.close();
 * ```
 */
export function stopGradient(x: Tensor): Tensor {
  return wrap(x.backend, x.buffer, undefined, x.root);
}

/**
 * Checks a shape against one-letter dimension names and binds them.
 * @param known Sizes that the shape must agree with; they come back with the rest.
 * @throws {RangeError} when the rank or a known dimension differs.
 * @example
 * ```ts
 * import { cpu, dims, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x_TD = tensor(backend, new Float32Array(6), [2, 3]);
 * assertEquals(dims(x_TD, "TD", { D: 3 }), { T: 2, D: 3 });
 * backend.close();
 * ```
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

/**
 * Number of values.
 * @example
 * ```ts
 * import { cpu, size, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertEquals(size(tensor(backend, new Float32Array(6), [2, 3])), 6);
 * backend.close();
 * ```
 */
export function size(x: Tensor): number {
  return sizeOf(x.shape);
}
