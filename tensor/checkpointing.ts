// Activations that are given up when a part of a forward pass ends, and made again when its gradient reads them: by
// running again the kernels that made them, or from 16-bit copies. A router's or an expert's own code runs once: what
// it drew, read or counted is among the arrays that stay, so no part can decide or learn otherwise than without it.
import { type Backend, type Buffer, type Kernel, shapeText, sizeOf } from "../kernels/kernel.ts";
import { packHalf } from "../kernels/pack_half/kernel.ts";
import { unpackHalf } from "../kernels/unpack_half/kernel.ts";
import { type Context, contextOf, countBytes, type Scope, type Segment, type Storage } from "./context.ts";
import { bookDispatches } from "./dispatches.ts";

/** What becomes of activations between the forward and the backward pass. */
export const checkpointings = ["none", "recompute", "half"] as const;

/**
 * `none` keeps them; `recompute` runs the kernels that made them again, to the same bits; `half` keeps f16 copies, so that
 * gradients are those of rounded activations.
 */
export type Checkpointing = typeof checkpointings[number];

/** What is known of a tensor that a kernel read or made. */
interface Seen {
  readonly storage: Storage;
  readonly shape: readonly number[];
  readonly version: number;
}

/** One run of a kernel. */
interface Call {
  // deno-lint-ignore no-explicit-any -- kernels have params of their own, which only they read
  readonly kernel: Kernel<any>;
  readonly params: unknown;
  readonly inputs: readonly Seen[];
  readonly outputs: readonly { readonly storage: Storage }[];
  readonly segment: Segment;
}

/**
 * Runs a part of a forward pass and frees the tensors it made, except small arrays and `stays`. It may be asynchronous, and
 * must run inside a memory scope; inside another such part it is a piece of that one.
 * @param least Arrays of fewer elements than this stay.
 * @throws {TypeError} without an open memory scope.
 * @example
 * ```ts
 * import { checkpointed, cpu, exp, gradients, memory, parameter, square, sumAll, takePeakBytes } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * using w = parameter(backend, new Float32Array(1024).fill(0.5), [1024]);
 * const peaks: number[] = [];
 * const found: Float32Array[] = [];
 * for (const how of ["none", "recompute"] as const) {
 *   using _scope = memory(backend);
 *   let y = exp(w);
 *   for (let part = 0; part < 4; part++) {
 *     const x = y;
 *     y = await checkpointed(backend, how, { least: 1, stays: (sum) => [sum] }, () => exp(exp(square(exp(square(x))))));
 *   }
 *   takePeakBytes(backend);
 *   const [gradient] = await gradients(sumAll(y), [w]);
 *   peaks.push(takePeakBytes(backend));
 *   found.push(await gradient!.read() as Float32Array);
 * }
 * assertEquals(found[0], found[1]);
 * assertEquals(peaks[1] < 0.7 * peaks[0], true);
 * ```
 */
export async function checkpointed<T>(
  backend: Backend,
  how: Checkpointing,
  { least, stays }: {
    readonly least: number | ((result: T) => number);
    readonly stays: (result: T) => readonly { readonly storage: Storage }[];
  },
  body: () => T | Promise<T>,
): Promise<T> {
  const context = contextOf(backend);
  if (how === "none" || context.segment) return await body();
  const segment = open(context);
  context.segment = segment;
  let result: T;
  try {
    result = await body();
  } finally {
    context.segment = null;
  }
  const from = typeof least === "number" ? least : least(result);
  const kept = new Set(stays(result).map(({ storage }) => storage));
  for (const storage of segment.made) {
    if (storage.ended !== null || kept.has(storage) || sizeOf(storage.buffer.type.shape) < from) continue;
    if (how === "recompute") giveUp(storage);
    else if (storage.buffer.type.dtype === "f32") halve(segment.scope, storage);
  }
  return result;
}

function open({ device, scopes }: Context): Segment {
  const scope = scopes.at(-1);
  if (!scope) {
    throw new TypeError(
      `Cannot give up activations on ${device.name}: no memory scope is open; open one with memory(backend)`,
    );
  }
  return { made: new Set(), scope, held: new Set() };
}

/** Notes how a kernel's outputs were made. */
export function noteCall({ inputs, ...rest }: Call): void {
  const call = {
    ...rest,
    inputs: inputs.map(({ storage, shape, version }) => ({ storage, shape, version })),
  };
  for (const { storage } of call.outputs) {
    storage.source = () => runAgain(call, storage);
    call.segment.made.add(storage);
  }
}

function giveUp(storage: Storage): void {
  storage.backend.free(storage.buffer);
  countBytes(storage.backend, -storage.bytes);
  storage.away = true;
}

/** Keeps 16-bit copies of a storage's values in its scope. */
function halve(scope: Scope, storage: Storage): void {
  const { backend, buffer } = storage;
  const [half] = backend.run(packHalf, [buffer], {});
  const { shape } = buffer.type;
  const bytes = 4 * sizeOf(half.type.shape);
  countBytes(backend, bytes);
  scope.owned.add({ ...storage, buffer: half, bytes, scope });
  storage.source = () => backend.run(unpackHalf, [half], { shape })[0];
  giveUp(storage);
}

/** Where a storage's values are; those given up are made again. */
export function valuesOf(storage: Storage): Buffer {
  if (!storage.away) return storage.buffer;
  fill(storage, storage.source!());
  return storage.buffer;
}

function fill(storage: Storage, buffer: Buffer): void {
  storage.buffer = buffer;
  storage.away = false;
  countBytes(storage.backend, storage.bytes);
  contextOf(storage.backend).restored.add(storage);
}

/** Gives up again what was made again. */
export function giveUpRestored({ restored }: Context): void {
  for (const storage of restored) giveUp(storage);
  restored.clear();
}

/** Runs a kernel again for one of its outputs; others that were given up come back with it. */
function runAgain({ kernel, params, inputs, outputs, segment }: Call, wanted: Storage): Buffer {
  const { backend } = wanted;
  const passing: { readonly buffer: Buffer; readonly bytes: number }[] = [];
  const read = inputs.map(({ storage, shape, version }) => {
    refuseChanged(storage, version, kernel.name);
    const lost = storage.ended !== null && !segment.held.has(storage);
    const buffer = lost ? madeOnce(storage, kernel.name) : valuesOf(storage);
    if (lost) passing.push({ buffer, bytes: storage.bytes });
    return shapeText(buffer.type.shape) === shapeText(shape) ? buffer : backend.alias(buffer, shape);
  });
  const before = backend.counts?.dispatches ?? 0;
  const made = backend.run(kernel, read, params);
  if (backend.counts) bookDispatches(contextOf(backend), backend.counts.dispatches - before);
  outputs.forEach(({ storage }, at) => {
    if (storage === wanted) return;
    if (storage.away) fill(storage, made[at]);
    else backend.free(made[at]);
  });
  for (const { buffer, bytes } of passing) {
    backend.free(buffer);
    countBytes(backend, -bytes);
  }
  return made[outputs.findIndex(({ storage }) => storage === wanted)];
}

/** Values that the program was done with, made again for one reader. */
function madeOnce(storage: Storage, kernel: string): Buffer {
  if (!storage.source) {
    throw new TypeError(
      `Cannot run ${kernel} again: a tensor of shape ${
        shapeText(storage.buffer.type.shape)
      } that it read is gone: ${storage.ended}`,
    );
  }
  const buffer = storage.source();
  countBytes(storage.backend, storage.bytes);
  return buffer;
}

function refuseChanged({ parameter, version: now }: Storage, version: number, kernel: string): void {
  if (parameter === null || now === version) return;
  throw new TypeError(
    `Cannot run ${kernel} again: parameter "${parameter}" was assigned after activations were made with it; ` +
      "take gradients first",
  );
}
