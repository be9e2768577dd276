// Worker threads that run `work()` of the WebAssembly module until told to quit. Where node:worker_threads exists (Deno,
// Node) they are used, because such a worker can be unreferenced and then never keeps a finished program alive;
// browsers get web workers. Both start from a text, so no consumer needs permission to read a worker file.
import type { Binding } from "./blas/binding.ts";
import { productText } from "./blas/product.ts";
import { noteFailure, openRoll } from "./roll.ts";

/** A thread's number is its place on the roll. */
const BODY = `({ module, memory, control, blas, roll }) => {
  const sgemm = blas
    ? (${productText})(blas.binding, memory, blas.origin)
    : () => { throw new Error("no BLAS"); };
  const env = { memory, sgemm, abort() { throw new Error("abort"); } };
  const { exports } = new WebAssembly.Instance(module, { env });
  const thread = Atomics.add(new Int32Array(roll), 0, 1) + 1;
  if (thread < 1) return;
  exports.attach(control, thread, blas?.origin ?? 0n, blas?.leastProduct ?? 0);
  exports.work();
}`;

/**
 * The program of a web worker that becomes a thread: what {@linkcode startThread} runs from a Blob. A site that forbids
 * Blob workers serves this text as a file of its own.
 */
export const threadProgram: string =
  `onmessage = (event) => { postMessage(0); (${BODY})(event.data); close(); };\n`;

/** What a thread needs to multiply on a BLAS. */
export interface BlasStart {
  /** How its product is called. */
  readonly binding: Binding;
  /** Where the backend's memory begins in the process. */
  readonly origin: bigint;
  /** Products of fewer multiply-adds stay in WebAssembly. */
  readonly leastProduct: number;
}

/** What a thread needs to join a backend. It can be sent from a worker to its page with `postMessage`. */
export interface ThreadStart {
  /** Programs of all kernels. */
  readonly module: WebAssembly.Module;
  /** The memory that all threads share. */
  readonly memory: WebAssembly.Memory;
  /** Where in memory jobs are announced. */
  readonly control: number;
  /** The BLAS that products may run on. */
  readonly blas: BlasStart | null;
  /** Where threads sign on, and failures are noted. */
  readonly roll: SharedArrayBuffer;
}

/** A thread that was started. */
export interface StartedThread {
  /** Ends it at once, for a page whose worker cannot close its backend any more. */
  terminate(): void;
}

interface NodeWorker extends StartedThread {
  on(event: "error", listener: (error: Error) => void): void;
  unref(): void;
}
interface NodeThreads {
  Worker: new (source: string, options: { eval: true; workerData: ThreadStart }) => NodeWorker;
}
interface NodeLike {
  process?: { getBuiltinModule?(name: string): unknown };
}

const NOT_LOADED =
  "a thread's program did not load. Where a Content Security Policy forbids workers from a Blob, allow " +
  "worker-src blob:, or serve threadProgram as a file and pass startThread";

/**
 * Starts a thread of a CPU backend, in a worker of its own. {@linkcode cpu} calls it for every thread beyond the first; call
 * it yourself from the hook of that name, where a page starts threads for a worker (see `CpuOptions.startThread`).
 * @param program Where `threadProgram` is served, for pages whose Content Security Policy forbids workers from a Blob.
 * @example
 * ```ts
 * import { cpu, startThread } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 2, startThread: (start) => startThread(start) });
 * assertEquals([backend.threads, backend.notes], [2, []]);
 * backend.close();
 * ```
 */
export function startThread(start: ThreadStart, program?: string | URL): StartedThread {
  const fail = (why: string) => noteFailure(start.roll, why);
  try {
    const threads = (globalThis as NodeLike).process?.getBuiltinModule?.("node:worker_threads") as
      | NodeThreads
      | undefined;
    if (threads && program === undefined) return startNodeWorker(threads, start, fail);
    return startWebWorker(start, program, fail);
  } catch (error) {
    fail(`a worker could not be started (${(error as Error).message})`);
    return { terminate: () => {} };
  }
}

function startNodeWorker(
  { Worker }: NodeThreads,
  start: ThreadStart,
  fail: (why: string) => void,
): StartedThread {
  const source = `(${BODY})(require("node:worker_threads").workerData)`;
  const worker = new Worker(source, { eval: true, workerData: start });
  worker.on("error", ({ message }) => fail(`a thread failed (${message})`));
  worker.unref();
  return worker;
}

function startWebWorker(
  start: ThreadStart,
  program: string | URL | undefined,
  fail: (why: string) => void,
): StartedThread {
  const url = program ?? URL.createObjectURL(new Blob([threadProgram], { type: "text/javascript" }));
  const forget = () => program === undefined && URL.revokeObjectURL(String(url));
  const worker = new Worker(url, { type: "module" });
  worker.onmessage = forget;
  worker.onerror = (event) => {
    event.preventDefault();
    forget();
    fail(event.message ? `a thread failed (${event.message})` : NOT_LOADED);
  };
  worker.postMessage(start);
  return worker;
}

/** Starts threads beyond the first and waits for them: how many came up, and why not all. */
export async function startThreads(
  count: number,
  start: Omit<ThreadStart, "roll">,
  begin: (start: ThreadStart) => unknown = startThread,
): Promise<{ readonly up: number; readonly why: string | null }> {
  const roll = openRoll();
  for (let at = 0; at < count; at++) void beginOne({ ...start, roll: roll.shared }, begin);
  return await roll.close(count);
}

/** A hook that throws or rejects has started none. */
async function beginOne(
  start: ThreadStart,
  begin: (start: ThreadStart) => unknown,
): Promise<void> {
  try {
    await begin(start);
  } catch (error) {
    noteFailure(start.roll, `startThread failed (${(error as Error).message})`);
  }
}
