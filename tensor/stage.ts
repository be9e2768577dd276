// Where in a step the program is, on two axes: the stage (a part of the model; ops remember theirs, so that an op's
// gradient is booked under the stage that made the op) and the pass that runs through all stages.

interface Place {
  readonly pass: string;
  readonly stage: string;
}

let current: Place = { pass: "forward", stage: "rest" };
let since = performance.now();
let seconds: Record<string, Record<string, number>> = {};

function book(): void {
  const now = performance.now();
  const row = seconds[current.pass] ??= {};
  row[current.stage] = (row[current.stage] ?? 0) + (now - since) / 1000;
  since = now;
}

function within<T>(place: Place, body: () => T): T {
  const outer = current;
  const leave = () => {
    book();
    current = outer;
  };
  book();
  current = place;
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

/** The stage the program is in. */
export function currentStage(): string {
  return current.stage;
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
  return within({ ...current, stage: name }, body);
}

/**
 * Runs `body` (which may be asynchronous) as a pass: `backward`, `optimizer` or `reading`; all else is `forward`.
 * @example
 * ```ts
 * import { pass, stage, takePassSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(pass("backward", () => stage("experts", () => 6 * 7)), 42);
 * assertEquals("experts" in takePassSeconds().backward, true);
 * ```
 */
export function pass<T>(name: string, body: () => T): T {
  return within({ ...current, pass: name }, body);
}

/**
 * Seconds by pass, then stage, since the last call of this or of {@linkcode takeStageSeconds}; starts counting anew.
 * @example
 * ```ts
 * import { takePassSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * takePassSeconds();
 * assertEquals(Object.keys(takePassSeconds().forward), ["rest"]);
 * ```
 */
export function takePassSeconds(): Record<string, Record<string, number>> {
  book();
  const taken = seconds;
  seconds = {};
  return taken;
}

/**
 * Seconds by stage, all passes together, since the last call; starts counting anew. `rest` is what no stage claims.
 * @example
 * ```ts
 * import { takeStageSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * takeStageSeconds();
 * assertEquals(Object.keys(takeStageSeconds()), ["rest"]);
 * ```
 */
export function takeStageSeconds(): Record<string, number> {
  return sumOfPasses(takePassSeconds());
}

/** Seconds by stage of seconds by pass, then stage. */
export function sumOfPasses(
  passes: Readonly<Record<string, Readonly<Record<string, number>>>>,
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const row of Object.values(passes)) {
    for (const [stage, seconds] of Object.entries(row)) sums[stage] = (sums[stage] ?? 0) + seconds;
  }
  return sums;
}
