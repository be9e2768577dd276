// Values on a backend that remember how they were made. A tensor is never changed in place; only a parameter gets
// new values, from the optimizer.
import {
  type Backend,
  type Buffer,
  bytesOf,
  type DType,
  type HostArray,
  type Kernel,
  type Letters,
  shapeText,
  sizeOf,
} from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { noteCall, valuesOf } from "./checkpointing.ts";
import { contextOf, countBytes, onOneDevice, type Segment, type Storage } from "./context.ts";
import { bookDispatches } from "./dispatches.ts";
import { disown, own, refuseEnded, releaseHeld, type Stored } from "./memory.ts";

/** Values with a shape on a backend. */
export interface Tensor extends Stored {
  /** Type of its elements. */
  readonly dtype: DType;
  /** The handle whose context it belongs to ({@linkcode fork}). */
  readonly backend: Backend;
  /** Where its values are on the backend. */
  readonly buffer: Buffer;
  /** The version of its storage that it shows: another one is refused. */
  readonly version: number;
  /** How it was made, when it depends on a parameter. */
  readonly made?: Made;
  /** True for a {@linkcode Parameter}. */
  readonly trainable: boolean;
  /** A copy of the values on the host, row-major. */
  read(): Promise<HostArray>;
}

/** A tensor's origin: its parents and, for each, how a gradient travels back to it. */
export interface Made {
  /** Parents that depend on a parameter. */
  readonly from: readonly Tensor[];
  /** For each of them, how a gradient travels back. */
  readonly pullbacks: readonly Pullback[];
  /** Versions of the parents' storages when it was made. */
  readonly versions: readonly number[];
  /** Stage that it was made in; its gradients count to it too. */
  readonly stage: string;
  /** The part of a forward pass that it was made in, where activations are given up at its end. */
  readonly segment: Segment | null;
  /** Set by a product with a fused activation. */
  readonly activation?: FusedActivation | undefined;
}

/**
 * An elementwise function's argument, and its derivative: where `factors` are above 0 for `positive` (ReLU's own result),
 * else `factors`. A product of the result may multiply its gradient by it, and pass that to `sum` at once.
 */
export interface FusedActivation {
  /** The argument of the function. */
  readonly sum: Tensor;
  /** What the derivative is read off. */
  readonly factors: Tensor;
  /** How: 1 where factors are positive, or their value. */
  readonly factor: "positive" | "value";
}

/** From the gradient of a result to the gradient of one parent. */
export type Pullback = (gradient: Tensor) => Tensor | Promise<Tensor>;

/** A tensor that training changes. It belongs to no memory scope: `using`, or {@linkcode release}, frees it. */
export interface Parameter extends Tensor, Disposable {
  /** Always true: this is what training changes. */
  readonly trainable: true;
  /** What errors call it. */
  readonly name: string;
  /** True for weights, which an optimizer's weight decay may shrink; false for biases and norms' gains. */
  readonly decays: boolean;
  /**
   * Takes over the values of a tensor of the same shape, which is gone afterwards. Another parameter is copied.
   * @throws {RangeError} when shapes differ; {TypeError} when element types or devices do, or the tensor is gone already.
   */
  assign(values: Tensor): void;
}

/** What {@linkcode parameter} may be told. */
export interface ParameterOptions {
  /** What errors call it; "parameter" unless said otherwise. */
  readonly name?: string;
  /** Whether weight decay may shrink it; by default where it has two dimensions or more. */
  readonly decays?: boolean;
}

function storageOf(backend: Backend, buffer: Buffer, parameter: string | null = null): Storage {
  const bytes = bytesOf(buffer.type);
  countBytes(backend, bytes);
  return {
    backend,
    buffer,
    parameter,
    version: 0,
    scope: null,
    ended: null,
    bytes,
    source: null,
    away: false,
  };
}

/** What every op makes: one shape of object, so that engines read its fields fast. */
class Value implements Tensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly version: number;
  readonly trainable = false;
  declare readonly made?: Made;
  /** The storage's array that `shown` is a view of: values that were given up come back in another. */
  private whole: Buffer;

  constructor(readonly backend: Backend, private shown: Buffer, readonly storage: Storage, made?: Made) {
    this.shape = shown.type.shape;
    this.dtype = shown.type.dtype;
    this.version = storage.version;
    this.whole = storage.buffer;
    if (made) this.made = made;
  }

  get buffer(): Buffer {
    const now = valuesOf(this.storage);
    if (now !== this.whole) [this.whole, this.shown] = [now, this.backend.alias(now, this.shape)];
    return this.shown;
  }

  async read(): Promise<HostArray> {
    refuseStale("read", this);
    return await this.backend.read(this.buffer);
  }
}

function wrap(backend: Backend, buffer: Buffer, storage: Storage, made?: Made): Tensor {
  return new Value(backend, buffer, storage, made);
}

/** True for a tensor whose values are no longer there. */
function isStale({ storage, version }: Tensor): boolean {
  return storage.ended !== null || storage.version !== version;
}

/** @throws {TypeError} when a tensor's values are no longer there. */
function refuseStale(what: string, tensor: Tensor): void {
  if (!isStale(tensor)) return;
  refuseEnded(what, tensor);
  throw new TypeError(
    `Cannot ${what}: parameter "${tensor.storage.parameter}" was assigned after this view of it was made; ` +
      "make the view anew",
  );
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
  return owned(backend, backend.upload(host, shape));
}

function owned(backend: Backend, buffer: Buffer): Tensor {
  const made = wrap(backend, buffer, storageOf(backend, buffer));
  own(made);
  return made;
}

/**
 * Values that belong to no memory scope and that training never changes, for what a model keeps besides parameters. They may
 * be used from every handle of their device ({@linkcode seenFrom}); {@linkcode release} frees them.
 * @param name What errors call them.
 * @throws {RangeError} when the product of `shape` is not the number of values.
 * @example
 * ```ts
 * import { cpu, lasting, memory, release } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * const scope = memory(backend);
 * const table = lasting(backend, Int32Array.of(1, 2), [2], "table");
 * scope[Symbol.dispose]();
 * assertEquals(await table.read(), Int32Array.of(1, 2));
 * release(table);
 * ```
 */
export function lasting(
  backend: Backend,
  values: HostArray,
  shape: readonly number[],
  name: string,
): Tensor {
  const buffer = backend.upload(values, shape);
  return wrap(backend, buffer, storageOf(backend, buffer, name));
}

/**
 * A parameter with the given initial values; free it with `using`, or {@linkcode release} it when done with it.
 * @param shape Row-major; its product must be the number of values.
 * @throws {RangeError} when it is not, or when other values of another shape are assigned.
 * @example
 * ```ts
 * import { cpu, parameter, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * using gate = parameter(backend, Float32Array.of(1, 2), [2], { name: "gate" });
 * gate.assign(tensor(backend, [3, 4], [2]));
 * assertEquals(await gate.read(), Float32Array.of(3, 4));
 * ```
 */
export function parameter(
  backend: Backend,
  values: Float32Array,
  shape: readonly number[],
  { name = "parameter", decays = shape.length > 1 }: ParameterOptions = {},
): Parameter {
  const storage = storageOf(backend, backend.upload(values, shape), name);
  const made: Parameter = {
    shape: [...shape],
    dtype: "f32",
    backend,
    storage,
    name,
    decays,
    trainable: true,
    get buffer() {
      return storage.buffer;
    },
    get version() {
      return storage.version;
    },
    async read() {
      refuseStale("read", made);
      return await backend.read(storage.buffer);
    },
    assign(next) {
      const what = `assign to parameter "${name}"`;
      refuseStale(what, made);
      refuseStale(what, next);
      if (shapeText(next.shape) !== shapeText(shape)) {
        throw new RangeError(
          `Cannot ${what}: it has shape ${shapeText(shape)}, not ${shapeText(next.shape)}`,
        );
      }
      if (next.dtype !== "f32") throw new TypeError(`Cannot ${what}: values must be f32, not ${next.dtype}`);
      if (!onOneDevice(backend, next.backend)) {
        throw new TypeError(`Cannot ${what}: values lie on another backend`);
      }
      const { storage: given } = next.storage.parameter === null ? next : copyOf(next);
      const buffer = valuesOf(given);
      disown({ shape, storage: given });
      given.ended = `it was given to parameter "${name}"`;
      backend.free(storage.buffer);
      countBytes(given.backend, -given.bytes);
      countBytes(backend, given.bytes - storage.bytes);
      storage.bytes = given.bytes;
      storage.buffer = buffer;
      storage.version++;
    },
    [Symbol.dispose]: () => releaseHeld([made]),
  };
  return made;
}

/** The same bits in memory of their own: x + -0 is x, zeros' signs included. */
function copyOf(x: Tensor): Tensor {
  return apply(kernels.affine, [x], { scale: 1, shift: -0 })[0];
}

/**
 * Runs a kernel on tensors; results carry no gradient ({@linkcode differentiable} adds one).
 * @param on Where to run a kernel that has no inputs.
 * They belong to the context of the first input that is no parameter, else of the first ({@linkcode fork}).
 * @throws {TypeError} when inputs lie on two backends, belong to two contexts, are gone (their scope is closed) or have
 * the wrong element type; {RangeError} when shapes or parameters do not fit the kernel.
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
 * (`replaces`): those inputs hold nothing afterwards, and are freed as usual.
 * @example
 * ```ts
 * import { applyOver, cpu, kernels, tensor } from "@switchyard/moe";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const [logits_TV, target_T] = [tensor(backend, [0, 0], [1, 2]), tensor(backend, Int32Array.of(1), [1])];
 * const [normalizer_T2, one_T] = [tensor(backend, [0, Math.log(2)], [1, 2]), tensor(backend, [1], [1])];
 * const inputs = [logits_TV, target_T, normalizer_T2, one_T];
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
  const backend = on ?? (inputs.find(isActivation) ?? inputs[0])?.backend;
  if (!backend) throw new TypeError(`Cannot run ${kernel.name}: without inputs it needs a backend`);
  for (const input of inputs) {
    if (isStale(input)) refuseStale(`run ${nameOf(kernel, params)}`, input);
    if (input.backend !== backend) refuseStranger(nameOf(kernel, params), backend, input);
  }
  const context = contextOf(backend);
  const { counts } = backend, { segment } = context;
  const before = counts?.dispatches ?? 0;
  // What computes activations again reads its inputs: they are not written over.
  const instead = over && segment === null;
  const buffers: Buffer[] = [];
  for (const input of inputs) buffers.push(input.buffer);
  const outputs = backend.run(kernel, buffers, params, instead);
  if (instead) { for (const at of kernel.replaces?.(inputs.length) ?? []) uncount(inputs[at].storage); }
  const made: Tensor[] = [];
  for (const buffer of outputs) made.push(owned(backend, buffer));
  if (counts) bookDispatches(context, counts.dispatches - before);
  if (segment) noteCall({ kernel, params, inputs, outputs: made, segment });
  return made;
}

/** Its memory is counted to what was written over it. */
function uncount(storage: Storage): void {
  countBytes(storage.backend, -storage.bytes);
  storage.bytes = 0;
}

/** A kernel's name, and its op where it has several. */
function nameOf<P>({ name }: Kernel<P>, params: P): string {
  const op = (params as { readonly op?: unknown } | null)?.op;
  return typeof op === "string" ? `${name} (${op})` : name;
}

/** Parameters, and views of them, may be used from every handle on their device. */
function isActivation({ storage }: Tensor): boolean {
  return storage.parameter === null;
}

function refuseStranger(kernel: string, backend: Backend, input: Tensor): void {
  if (!onOneDevice(backend, input.backend)) {
    throw new TypeError(`Cannot run ${kernel}: its inputs lie on two backends`);
  }
  if (isActivation(input)) {
    throw new TypeError(
      `Cannot run ${kernel}: its inputs belong to two handles on one backend; make all but parameters on one handle, ` +
        "and take a parameter to it with seenFrom before an op on it alone",
    );
  }
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
 * @param activation Lets the products that read the result fold its derivative into theirs.
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
export function differentiable(
  result: Tensor,
  parents: readonly (readonly [Tensor, Pullback])[],
  activation?: FusedActivation,
): Tensor {
  const from: Tensor[] = [], pullbacks: Pullback[] = [], versions: number[] = [];
  for (const [parent, pullback] of parents) {
    if (!carriesGradient(parent)) continue;
    from.push(parent);
    pullbacks.push(pullback);
    versions.push(parent.storage.version);
  }
  if (from.length === 0) return result;
  const { place: { stage }, segment } = contextOf(result.backend);
  const made: Made = { from, pullbacks, versions, stage, segment, activation };
  return wrap(result.backend, result.buffer, result.storage, made);
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
  refuseStale("reshape", x);
  const view = wrap(x.backend, x.backend.alias(x.buffer, shape), x.storage);
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
  refuseStale("stop the gradient", x);
  return wrap(x.backend, x.buffer, x.storage);
}

/**
 * A parameter as an input on another handle of its device ({@linkcode fork}): an op on nothing but parameters then belongs
 * to that handle's context. Gradients pass.
 * @param like A tensor of that handle. @returns `x` itself where nothing is to be done.
 * @example
 * ```ts
 * import { cpu, exp, fork, memory, parameter, seenFrom, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const device = await cpu({ threads: 1 });
 * const rate = parameter(device, Float32Array.of(0), [1]);
 * const backend = fork(device);
 * {
 *   using _scope = memory(backend);
 *   const x = tensor(backend, [5], [1]);
 *   assertEquals(exp(seenFrom(x, rate)).backend === backend, true); // freed with this scope
 * }
 * device.close();
 * ```
 */
export function seenFrom(like: Tensor, x: Tensor): Tensor {
  if (x.backend === like.backend || isActivation(x)) return x;
  refuseStale("use on another handle", x);
  return differentiable(wrap(like.backend, x.buffer, x.storage), [[x, (gradient) => gradient]]);
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
export function dims<const Names extends string, Known extends string = never>(
  x: Tensor,
  names: Names,
  known?: Readonly<Record<Known, number>>,
): Record<Letters<Names> | Known, number> {
  if (names.length !== x.shape.length) {
    throw new RangeError(`Cannot read shape ${shapeText(x.shape)} as [${[...names].join(", ")}]`);
  }
  const bound: Record<string, number> = { ...known };
  for (let axis = 0; axis < names.length; axis++) {
    const name = names[axis], found = bound[name];
    if (found !== undefined && found !== x.shape[axis]) {
      throw new RangeError(
        `Cannot read shape ${shapeText(x.shape)} as [${[...names].join(", ")}]: ${name} is ${found}`,
      );
    }
    bound[name] = x.shape[axis];
  }
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
