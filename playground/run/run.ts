// A run as the page sees it: a worker of its own, and what has come of it.
/// <reference lib="dom" />
import { type StartedThread, startThread } from "../../cpu/threads.ts";
import type { RunConfig } from "../../training/run_schema.ts";
import type { FromRun, RunStart } from "./messages.ts";
import { isOpen, noProgress, type Progress, takeMessage } from "./progress.ts";
import { startWorker } from "./start_worker.ts";

/** What a run is, beside what its worker is told. */
export interface RunParts {
  readonly start: RunStart;
  /** Its config, but for the options of a router of the user's, which only its worker knows. */
  readonly config: RunConfig;
  /** The program of a router of the user's; null where it is one of the package's. */
  readonly program: string | null;
}

/** A run. */
export interface Run extends Readonly<Progress>, RunParts {
  /** Trains so many steps more, all where left out. */
  go(steps?: number): void;
  pause(): void;
  /** Another sentence to watch, while its memory lasts. */
  watch(sentence: string | null): void;
  /** Ends it where it is, and frees its memory; what has been recorded stays. */
  stop(): void;
}

/** Starts a run, which trains at once. @param changed Told whenever something has come of it. */
export function createRun(parts: RunParts, changed: () => void): Run {
  const threads: StartedThread[] = [];
  const progress = noProgress();
  let turn = 0;
  const end = () => {
    worker.terminate();
    for (const thread of threads) thread.terminate();
  };
  const take = (message: FromRun) => {
    if (message.kind === "thread") return void threads.push(startThread(message.thread));
    if (!isOpen(progress) && message.kind !== "looks") return;
    takeMessage(progress, message, turn);
    if (progress.stage === "failed") end();
    changed();
  };
  const worker = startWorker(parts.program, take);
  worker.send({ kind: "start", ...parts.start });
  const own: Omit<Run, keyof Progress> = {
    ...parts,
    go(steps = Infinity) {
      if (!isOpen(progress)) return;
      if (progress.stage === "paused") progress.stage = "training";
      worker.send({ kind: "go", steps, turn: ++turn });
      changed();
    },
    pause() {
      if (!isOpen(progress)) return;
      progress.stage = "paused";
      worker.send({ kind: "pause" });
      changed();
    },
    watch: (sentence) => worker.send({ kind: "sentence", sentence }),
    stop() {
      end();
      if (!isOpen(progress)) return;
      progress.stage = "stopped";
      changed();
    },
  };
  return Object.assign(progress, own);
}
