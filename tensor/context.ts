// What one program has open on a backend: memory scopes, the clock of stages and passes, dispatch counts. A context
// belongs to a handle on a device and not to the module, so that two programs at once on one device never see each other.
import type { Backend, Buffer } from "../kernels/kernel.ts";

/** Memory that a tensor and its views share. */
export interface Storage {
  /** The handle it was made on: a scope of its context may own it. */
  readonly backend: Backend;
  /** Where the values are now; a parameter moves when it is assigned. */
  buffer: Buffer;
  /** For a parameter its name; null for any other tensor. */
  readonly parameter: string | null;
  /** Times that a parameter was assigned. */
  version: number;
  /** The scope that frees it, if one does. */
  scope: Scope | null;
  /** Why it may not be used any more, in the words of an error. */
  ended: string | null;
  /** Bytes of its values, as far as they are counted to it. */
  bytes: number;
  /** Makes values again that were given up; null for values that stay (tensor/checkpointing.ts). */
  source: (() => Buffer) | null;
  /** True while its values are given up. */
  away: boolean;
}

/** A part of a forward pass whose activations are given up when it ends. */
export interface Segment {
  /** What was made in it. */
  readonly made: Set<Storage>;
  /** The scope that it began in. */
  readonly scope: Scope;
  /** What the program was done with, and a later computation may read: the scope frees it. */
  readonly held: Set<Storage>;
}

/** An open memory scope, or one that was. */
export interface Scope {
  /** What is freed when it closes. */
  readonly owned: Set<Storage>;
}

/** Where in a step a program is. */
export interface Place {
  readonly pass: string;
  readonly stage: string;
}

/** What belongs to one handle. */
export interface Context {
  /** What the handle is on; itself for a backend as it was opened. */
  readonly device: Backend;
  /** Open scopes, the innermost last. */
  readonly scopes: Scope[];
  place: Place;
  /** When time was last booked, in milliseconds. */
  since: number;
  /** Seconds by pass, then stage. */
  seconds: Record<string, Record<string, number>>;
  /** Dispatches by stage. */
  dispatches: Record<string, number>;
  /** The part of a forward pass that it is in, if its activations are to be given up. */
  segment: Segment | null;
  /** Arrays that were made again and are still there. */
  readonly restored: Set<Storage>;
  /** Bytes of arrays, parameters included. */
  usedBytes: number;
  /** The most of them at once since {@linkcode takePeakBytes}. */
  peakBytes: number;
}

/** Goes with its handle: nothing here outlives a backend. */
const contexts = new WeakMap<Backend, Context>();

function open(device: Backend): Context {
  return {
    device,
    scopes: [],
    place: { pass: "forward", stage: "rest" },
    since: performance.now(),
    seconds: {},
    dispatches: {},
    segment: null,
    restored: new Set(),
    usedBytes: 0,
    peakBytes: 0,
  };
}

/** The context of a handle. A backend as it was opened has one too. */
export function contextOf(backend: Backend): Context {
  let context = contexts.get(backend);
  if (!context) contexts.set(backend, context = open(backend));
  return context;
}

/**
 * A second handle on a backend's device, with memory scopes, stage clock and dispatch counts of its own. Give one to each
 * of several asynchronous calls that run at once. Parameters may be used from every handle on their device; other tensors
 * only with those of their own handle. To close a handle is to close the device.
 * @example
 * ```ts
 * import { add, type Backend, cpu, fork, memory, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const device = await cpu({ threads: 1 });
 * async function twice(backend: Backend, value: number): Promise<number> {
 *   using _scope = memory(backend);
 *   const x = tensor(backend, [value], [1]);
 *   await Promise.resolve(); // the other call goes on meanwhile
 *   return (await add(x, x).read())[0];
 * }
 * assertEquals(await Promise.all([twice(fork(device), 1), twice(fork(device), 7)]), [2, 14]);
 * device.close();
 * ```
 */
export function fork<B extends Backend>(backend: B): B {
  const { device } = contextOf(backend);
  // A backend is a plain object of functions that use no `this`.
  const handle = { ...device } as B;
  contexts.set(handle, open(device));
  return handle;
}

/** Counts bytes of arrays that a handle made, or gave back where `bytes` is below 0. */
export function countBytes(backend: Backend, bytes: number): void {
  const context = contextOf(backend);
  context.usedBytes += bytes;
  context.peakBytes = Math.max(context.peakBytes, context.usedBytes);
}

/**
 * The most bytes that arrays of a handle took at once since the last call, parameters included; starts anew. It is the
 * same on every machine: what a kernel needs for itself meanwhile, and gaps between arrays, are not counted.
 * @example
 * ```ts
 * import { add, cpu, memory, takePeakBytes, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * {
 *   using _scope = memory(backend);
 *   const x = tensor(backend, new Float32Array(256), [256]);
 *   add(x, x);
 * }
 * assertEquals([takePeakBytes(backend), takePeakBytes(backend)], [2048, 0]);
 * ```
 */
export function takePeakBytes(backend: Backend): number {
  const context = contextOf(backend);
  const { peakBytes } = context;
  context.peakBytes = context.usedBytes;
  return peakBytes;
}

/** True for two handles on one device. */
export function onOneDevice(a: Backend, b: Backend): boolean {
  return a === b || contextOf(a).device === contextOf(b).device;
}
