// Threads of a library that spin while another contender is timed would take its cores. Every process says how long all its
// threads have computed so far.
import type { Running } from "./process.ts";

const ANSWER_SECONDS = 10;
const WINDOW_SECONDS = 0.05;
/** Answering takes a process some hundred microseconds itself. */
const IDLE_CORES = 0.1;

/** Seconds all threads of a contender have computed. */
export async function cpuSeconds(one: Running): Promise<number> {
  return Number((await one.ask({ ask: "usage" }, ANSWER_SECONDS)).cpuSeconds);
}

/** Waits until a contender computes no more, at most `seconds`: many threads spin for a while when work runs out. */
export async function settle(one: Running, seconds: number): Promise<void> {
  let before = await cpuSeconds(one);
  for (let waited = 0; waited < seconds; waited += WINDOW_SECONDS) {
    await new Promise((resolve) => setTimeout(resolve, WINDOW_SECONDS * 1000));
    const after = await cpuSeconds(one);
    if (after - before < IDLE_CORES * WINDOW_SECONDS) return;
    before = after;
  }
}
