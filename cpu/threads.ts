// Worker threads that run `work()` of the WebAssembly module until told to quit. Where node:worker_threads exists (Deno,
// Node) they are used, because such a worker can be unreferenced and then never keeps a finished program alive;
// browsers get web workers. Both start from a text, so no consumer needs permission to read a worker file.
import { type BlasStart, OPEN_SGEMM } from "./blas.ts";

const BODY = `({ module, memory, control, thread, started, blas }) => {
  const sgemm = blas ? (${OPEN_SGEMM})(blas) : () => { throw new Error("no BLAS"); };
  const env = { memory, sgemm, abort() { throw new Error("abort"); } };
  const { exports } = new WebAssembly.Instance(module, { env });
  exports.attach(control, thread, blas?.origin ?? 0n, blas?.leastProduct ?? 0);
  const flag = new Int32Array(started);
  Atomics.add(flag, 0, 1);
  Atomics.notify(flag, 0);
  exports.work();
}`;

/** What a worker needs to join. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  /** Its number, from 1. */
  readonly thread: number;
  /** The system's BLAS, where products may run on it. */
  readonly blas: BlasStart | null;
  /** A shared counter of workers that are up. */
  readonly started: SharedArrayBuffer;
}

interface NodeWorker {
  unref(): void;
}
interface NodeThreads {
  Worker: new (source: string, options: { eval: true; workerData: WorkerStart }) => NodeWorker;
}
interface NodeLike {
  process?: { getBuiltinModule?(name: string): unknown };
}

/** Starts one worker; it counts itself in `start.started` once it is ready for work. */
export function startWorker(start: WorkerStart): void {
  const threads = (globalThis as NodeLike).process?.getBuiltinModule?.("node:worker_threads") as
    | NodeThreads
    | undefined;
  if (threads) {
    const source = `(${BODY})(require("node:worker_threads").workerData)`;
    new threads.Worker(source, { eval: true, workerData: start }).unref();
    return;
  }
  const url = URL.createObjectURL(
    new Blob([`onmessage = (event) => { (${BODY})(event.data); close(); }`], { type: "text/javascript" }),
  );
  new Worker(url, { type: "module" }).postMessage(start);
}
