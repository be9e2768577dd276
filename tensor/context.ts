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

/** True for two handles on one device. */
export function onOneDevice(a: Backend, b: Backend): boolean {
  return a === b || contextOf(a).device === contextOf(b).device;
}
