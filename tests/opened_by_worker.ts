// A page and its worker: the worker opens backends and asks for their threads (cpu_in_worker.ts), the page starts them.
import { startThread } from "../cpu/threads.ts";
import type { WorkerAsks } from "./cpu_in_worker.ts";
import type { Tried } from "./tried_backend.ts";

/** Has a worker open so many backends of two threads one after another; `null` where that takes over a minute. */
export async function openedByWorker(program: string | URL, times: number): Promise<readonly Tried[] | null> {
  const worker = new Worker(program, { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      const late = setTimeout(() => resolve(null), 60_000);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.onmessage = ({ data }: MessageEvent<WorkerAsks>) => {
        if (data.start) return startThread(data.start);
        clearTimeout(late);
        resolve(data.opened);
      };
      worker.postMessage(times);
    });
  } finally {
    worker.terminate();
  }
}
