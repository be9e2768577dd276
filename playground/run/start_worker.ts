// Workers of runs. One that runs a program of the user's starts from a Blob with that program at its top, so that lines of
// errors are the user's, and loads the page's own behind it.
/// <reference lib="dom" />
import { programText } from "../assets.ts";
import type { FromRun, ToRun } from "./messages.ts";

/** A worker. */
export interface RunWorker {
  send(message: ToRun): void;
  terminate(): void;
}

/**
 * Starts a worker; what is sent before it is ready waits.
 * @param program Of a router of the user's, as `compileRouter` makes it; null for none.
 */
export function startWorker(program: string | null, take: (message: FromRun) => void): RunWorker {
  const url = new URL("worker.js", document.baseURI).href;
  const inside = programText();
  const own = program === null ? "" : `self.ownRouter = (exports, require, $loop) => {${program}\n};\n`;
  const worker = program === null && inside === null
    ? new Worker(url, { type: "module" })
    : startBlob(own + (inside ?? `import(${JSON.stringify(url)});`));
  const lines = program === null ? 0 : program.split("\n").length;
  let waiting: ToRun[] | null = [];
  worker.onmessage = ({ data }: MessageEvent<FromRun>) => {
    if (data.kind !== "ready") return take(data);
    for (const message of waiting ?? []) worker.postMessage(message);
    waiting = null;
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const line = event.lineno > 0 && event.lineno <= lines ? event.lineno : null;
    const message = event.message?.replace(/^Uncaught /, "") || "Cannot load the run's program";
    take({ kind: "failed", message, line });
  };
  return {
    send(message) {
      if (waiting) waiting.push(message);
      else worker.postMessage(message);
    },
    terminate: () => worker.terminate(),
  };
}

function startBlob(text: string): Worker {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(url);
  // It has been asked for by now; the address is kept no longer than that takes.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return worker;
}
