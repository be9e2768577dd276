// A worker that opens backends of two threads and may start no worker itself: it asks whoever started it for each thread.
import type { ThreadStart } from "../cpu/threads.ts";
import { webWorkersAlone } from "./stand_in.ts";
import { type Tried, tried } from "./tried_backend.ts";

/** What it says: a thread to start, or in the end what came of every backend. */
export type WorkerAsks =
  | { readonly start: ThreadStart; readonly opened?: undefined }
  | { readonly start?: undefined; readonly opened: readonly Tried[] };

const page = self as unknown as { postMessage(message: WorkerAsks): void };

async function openAll(times: number): Promise<void> {
  using _engine = webWorkersAlone(() => {});
  const opened: Tried[] = [];
  for (let left = times; left > 0; left--) {
    opened.push(await tried({ threads: 2, startThread: (start) => page.postMessage({ start }) }));
  }
  page.postMessage({ opened });
}

self.addEventListener("message", (event) => {
  openAll((event as MessageEvent<number>).data).catch(reportError);
});
