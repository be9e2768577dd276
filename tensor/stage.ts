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

/** Runs `body` (which may be asynchronous) under a stage's name. */
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

/** Seconds by stage since the last call; starts counting anew. */
export function takeStageSeconds(): Record<string, number> {
  book();
  const taken = Object.fromEntries(seconds);
  seconds.clear();
  return taken;
}
