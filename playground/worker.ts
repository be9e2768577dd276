// The worker of one run. It takes the page's messages, the first of which starts the run; a worker that holds a program of
// the user's may be asked what that is instead.
import "./jitless.ts";
import { createLoopGuard } from "./run/loop_guard.ts";
import type { FromRun, ToRun } from "./run/messages.ts";
import { describe, lineOf, type OwnProgram, registerOwn } from "./run/own_program.ts";
import { startTraining } from "./run/train.ts";

/** All that is used of a worker's global scope. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToRun>) => void) | null;
  postMessage(message: FromRun): void;
  /** The user's program, where the worker was started with one. */
  readonly ownRouter?: OwnProgram;
}

function serve(scope: WorkerScope): void {
  const post = (message: FromRun) => scope.postMessage(message);
  const { ownRouter: program } = scope;
  const lines = program ? program.toString().split("\n").length - 1 : 0;
  const fail = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    // The address of a Blob says nothing to its author: the line does.
    post({ kind: "failed", message: message.replace(/ \(blob:[^)]*\)$/, ""), line: lineOf(error, lines) });
  };
  const guard = createLoopGuard((line) =>
    post({ kind: "failed", message: "this loop has run for 5 seconds without an end", line })
  );
  const begin = async (message: ToRun) => {
    const own = program ? await registerOwn(program, guard.loop) : null;
    if (message.kind === "start") return startTraining(message, { post, fail, alive: guard.alive });
    if (message.kind === "describe" && own) return post(describe(own));
    throw new TypeError(`Cannot take "${message.kind}" before a run has started`);
  };
  let begun: Promise<void | ((message: ToRun) => void)> | null = null;
  scope.onmessage = ({ data }) => {
    if (begun) void begun.then((take) => take?.(data));
    else {
      begun = begin(data);
      begun.catch(fail);
    }
  };
  post({ kind: "ready" });
}

serve(globalThis as unknown as WorkerScope);
