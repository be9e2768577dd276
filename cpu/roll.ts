// Which threads came up. Each new thread takes its number from a shared counter, and whoever starts threads, here or on the
// page around a worker, notes there why one did not. Once the roll is closed, a thread that comes late is turned away.

/** Words of the shared memory: threads that came up, threads that failed, characters of the first reason; then these. */
const UP = 0;
const FAILED = 1;
const LENGTH = 2;
const TEXT = 3;
const MOST_CHARACTERS = 500;

/** What a closed roll holds in place of a count: a late thread's number is below 1. */
const CLOSED = -(2 ** 30);

/** Milliseconds to wait for the next thread. A slow machine starts one in a second. */
const PATIENCE = 30_000;
const LOOK_EVERY = 2;

/** A roll of threads. */
export interface Roll {
  /** For whoever starts threads, and for the threads. */
  readonly shared: SharedArrayBuffer;
  /** Waits until so many have come up or failed, and takes no more; `why` is the first reason of those that are missing. */
  close(count: number, patience?: number): Promise<{ readonly up: number; readonly why: string | null }>;
}

/** Opens a roll. */
export function openRoll(): Roll {
  const shared = new SharedArrayBuffer(4 * (TEXT + MOST_CHARACTERS));
  const words = new Int32Array(shared);
  const answered = () => Atomics.load(words, UP) + Atomics.load(words, FAILED);
  return {
    shared,
    async close(count, patience = PATIENCE) {
      let [last, since] = [0, performance.now()];
      for (let now = answered(); now < count; now = answered()) {
        if (now > last) [last, since] = [now, performance.now()];
        if (performance.now() - since > patience) break;
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
      }
      const up = Atomics.exchange(words, UP, CLOSED);
      const late = `a thread did not come up within ${patience / 1000} seconds`;
      return { up, why: up >= count ? null : reasonIn(words) ?? late };
    },
  };
}

/** Notes on a roll that a thread will not come up. The first reason is kept. */
export function noteFailure(shared: SharedArrayBuffer, why: string): void {
  const words = new Int32Array(shared);
  if (Atomics.load(words, FAILED) === 0) {
    const text = why.slice(0, MOST_CHARACTERS);
    for (let at = 0; at < text.length; at++) words[TEXT + at] = text.charCodeAt(at);
    words[LENGTH] = text.length;
  }
  Atomics.add(words, FAILED, 1);
}

function reasonIn(words: Int32Array): string | null {
  if (Atomics.load(words, FAILED) === 0) return null;
  return String.fromCharCode(...words.subarray(TEXT, TEXT + words[LENGTH]));
}
