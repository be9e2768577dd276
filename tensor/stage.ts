// Which part of a step the program is in: a name that ops remember, so that time spent in an op's gradient is
// booked under the stage that made the op.

let current = "rest";
let since = performance.now();
const seconds = new Map<string, number>();

function book(): void {
  const now = performance.now();
  seconds.set(current, (seconds.get(current) ?? 0) + (now - since) / 1000);
  since = now;
}

/** The stage the program is in. */
export function currentStage(): string {
  return current;
}

/**
 * Runs `body` (which may be asynchronous) under a stage's name; returns and throws what it does.
 * @example
 * ```ts
 * import { stage, takeStageSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(stage("experts", () => 6 * 7), 42);
 * assertEquals("experts" in takeStageSeconds(), true);
 * ```
 */
export function stage<T>(name: string, body: () => T): T {
  const outer = current;
  const leave = () => {
    book();
    current = outer;
  };
  book();
  current = name;
  let result: T;
  try {
    result = body();
  } catch (error) {
    leave();
    throw error;
  }
  if (result instanceof Promise) return result.finally(leave) as T;
  leave();
  return result;
}

/**
 * Seconds by stage since the last call; starts counting anew. `rest` is what no stage claims.
 * @example
 * ```ts
 * import { takeStageSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * takeStageSeconds();
 * assertEquals(Object.keys(takeStageSeconds()), ["rest"]);
 * ```
 */
export function takeStageSeconds(): Record<string, number> {
  book();
  const taken = Object.fromEntries(seconds);
  seconds.clear();
  return taken;
}
