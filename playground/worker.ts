// The worker of one run. It takes the page's messages, the first of which starts the run.
import type { FromRun, ToRun } from "./run/messages.ts";
import { startTraining } from "./run/train.ts";

/** All that is used of a worker's global scope. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToRun>) => void) | null;
  postMessage(message: FromRun): void;
}

function serve(scope: WorkerScope): void {
  scope.onmessage = ({ data: first }) => {
    if (first.kind !== "start") throw new TypeError(`Cannot take "${first.kind}" before a run has started`);
    const take = startTraining(first, (message) => scope.postMessage(message));
    scope.onmessage = ({ data }) => take(data);
  };
}

serve(globalThis as unknown as WorkerScope);
