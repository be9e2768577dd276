// How long one call takes: as many calls as fill a window, and one wait at its end, so that a device that queues is
// timed by its work and not by its queue.
import type { Backend } from "../kernels/kernel.ts";

/** Something to time on a backend; what it makes it also frees. */
export type Timed = () => void | Promise<void>;

/** Waits until a backend has done all it was asked. */
async function settle(backend: Backend): Promise<void> {
  const mark = backend.upload(Float32Array.of(0), [1]);
  await backend.read(mark);
  backend.free(mark);
}

/** What one call takes. */
export interface CallTime {
  readonly seconds: number;
  /** What of it was not spent waiting, on a backend that queues. */
  readonly hostSeconds?: number;
}

/** Seconds of one call: the mean over a window of at least `leastSeconds`. */
export async function secondsPerCall(backend: Backend, call: Timed, leastSeconds: number): Promise<number> {
  return (await timePerCall(backend, call, leastSeconds)).seconds;
}

/** The least of several windows: what a busy machine adds to some of them is in none of it. */
export async function bestPerCall(
  backend: Backend,
  call: Timed,
  windows: number,
  leastSeconds: number,
): Promise<number> {
  let best = Infinity;
  for (let window = 0; window < windows; window++) {
    best = Math.min(best, await secondsPerCall(backend, call, leastSeconds));
  }
  return best;
}

/** The same as {@linkcode secondsPerCall}, with the program's own part of it. */
export async function timePerCall(backend: Backend, call: Timed, leastSeconds: number): Promise<CallTime> {
  for (let calls = 1;;) {
    await settle(backend);
    const waitedBefore = backend.counts?.waitSeconds;
    const start = performance.now();
    for (let each = 0; each < calls; each++) {
      const running = call();
      if (running) await running;
    }
    await settle(backend);
    const seconds = (performance.now() - start) / 1000;
    if (seconds >= leastSeconds) {
      if (waitedBefore === undefined) return { seconds: seconds / calls };
      const waitSeconds = backend.counts!.waitSeconds - waitedBefore;
      return { seconds: seconds / calls, hostSeconds: (seconds - waitSeconds) / calls };
    }
    // What a short try says, a little more than that, and not far beyond what was tried.
    calls = Math.max(2 * calls, Math.min(64 * calls, Math.ceil(1.1 * calls * leastSeconds / seconds)));
  }
}
