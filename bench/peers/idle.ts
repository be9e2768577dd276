// Threads of a library that spin while another contender is timed would take its cores. Linux says how long a process and
// its threads have computed; elsewhere nothing is known and nothing is waited for.

const TICKS_PER_SECOND = 100; // of /proc, whatever the kernel's own clock

/** Seconds all threads of a process have computed, or null where the system does not say. */
export function cpuSeconds(pid: number): number | null {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The name in parentheses may hold spaces; user and system time are the 14th and 15th words.
    const words = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(words[11]) + Number(words[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

const WINDOW_SECONDS = 0.05;
const IDLE_SHARE = 0.25; // one tick of 10 ms in a window is not yet spinning

/** Waits until a process computes no more, at most `seconds`. */
export async function settle(pid: number, seconds: number): Promise<void> {
  for (let waited = 0; waited < seconds; waited += WINDOW_SECONDS) {
    const before = cpuSeconds(pid);
    if (before === null) return;
    await new Promise((resolve) => setTimeout(resolve, WINDOW_SECONDS * 1000));
    const after = cpuSeconds(pid);
    if (after === null || after - before < IDLE_SHARE * WINDOW_SECONDS) return;
  }
}
