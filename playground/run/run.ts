// A run as the page sees it: a worker of its own, and what has come of it.
/// <reference lib="dom" />
import { type StartedThread, startThread } from "../../cpu/threads.ts";
import type { FromRun, RunStart, ToRun } from "./messages.ts";
import { isOpen, noProgress, type Progress, takeMessage } from "./progress.ts";

/** A run. */
export interface Run extends Readonly<Progress> {
  readonly start: RunStart;
  /** Trains so many steps more, all where left out. */
  go(steps?: number): void;
  pause(): void;
  /** Another sentence to watch, while its memory lasts. */
  watch(sentence: string | null): void;
  /** Ends it where it is, and frees its memory; what has been recorded stays. */
  stop(): void;
}

/** Starts a run, which trains at once. @param changed Told whenever something has come of it. */
export function createRun(start: RunStart, changed: () => void): Run {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const threads: StartedThread[] = [];
  const progress = noProgress();
  let turn = 0;
  const send = (message: ToRun) => worker.postMessage(message);
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
  worker.onmessage = ({ data }: MessageEvent<FromRun>) => take(data);
  worker.onerror = (event) => {
    event.preventDefault();
    take({ kind: "failed", message: event.message || "Cannot load the run's program" });
  };
  send({ kind: "start", ...start });
  const own: Omit<Run, keyof Progress> = {
    start,
    go(steps = Infinity) {
      if (!isOpen(progress)) return;
      if (progress.stage === "paused") progress.stage = "training";
      send({ kind: "go", steps, turn: ++turn });
      changed();
    },
    pause() {
      if (!isOpen(progress)) return;
      progress.stage = "paused";
      send({ kind: "pause" });
      changed();
    },
    watch: (sentence) => send({ kind: "sentence", sentence }),
    stop() {
      end();
      if (!isOpen(progress)) return;
      progress.stage = "stopped";
      changed();
    },
  };
  return Object.assign(progress, own);
}
