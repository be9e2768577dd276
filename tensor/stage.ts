// Where in a step a program is, on two axes: the stage (a part of the model; ops remember theirs, so that an op's
// gradient is booked under the stage that made the op) and the pass that runs through all stages. Each handle has its own.
import type { Backend } from "../kernels/kernel.ts";
import { type Context, contextOf, type Place } from "./context.ts";

function book(context: Context): void {
  const { pass, stage } = context.place;
  const now = performance.now();
  const row = context.seconds[pass] ??= {};
  row[stage] = (row[stage] ?? 0) + (now - context.since) / 1000;
  context.since = now;
}

function within<T>(context: Context, place: Place, body: () => T): T {
  const outer = context.place;
  const leave = () => {
    book(context);
    context.place = outer;
  };
  book(context);
  context.place = place;
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

/** The stage that the program of a handle is in. */
export function currentStage(backend: Backend): string {
  return contextOf(backend).place.stage;
}

/**
 * Runs `body` (which may be asynchronous) under a stage's name; returns and throws what it does.
 * @param backend The handle that `body` works on: `x.backend` of its input.
 * @example
 * ```ts
 * import { cpu, stage, takeStageSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertEquals(stage(backend, "experts", () => 6 * 7), 42);
 * assertEquals("experts" in takeStageSeconds(backend), true);
 * backend.close();
 * ```
 */
export function stage<T>(backend: Backend, name: string, body: () => T): T {
  const context = contextOf(backend);
  const { place } = context;
  return place.stage === name ? body() : within(context, { pass: place.pass, stage: name }, body);
}

/**
 * Runs `body` (which may be asynchronous) as a pass: `backward`, `optimizer` or `reading`; all else is `forward`.
 * @param backend The handle that `body` works on.
 * @example
 * ```ts
 * import { cpu, pass, stage, takePassSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * assertEquals(pass(backend, "backward", () => stage(backend, "experts", () => 6 * 7)), 42);
 * assertEquals("experts" in takePassSeconds(backend).backward, true);
 * backend.close();
 * ```
 */
export function pass<T>(backend: Backend, name: string, body: () => T): T {
  const context = contextOf(backend);
  const { place } = context;
  return place.pass === name ? body() : within(context, { pass: name, stage: place.stage }, body);
}

/**
 * A handle's seconds by pass, then stage, since the last call of this or of {@linkcode takeStageSeconds}; starts anew.
 * @example
 * ```ts
 * import { cpu, takePassSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * takePassSeconds(backend);
 * assertEquals(Object.keys(takePassSeconds(backend).forward), ["rest"]);
 * backend.close();
 * ```
 */
export function takePassSeconds(backend: Backend): Record<string, Record<string, number>> {
  const context = contextOf(backend);
  book(context);
  const taken = context.seconds;
  context.seconds = {};
  return taken;
}

/**
 * A handle's seconds by stage, all passes together, since the last call; starts anew. `rest` is time outside all stages.
 * @example
 * ```ts
 * import { cpu, takeStageSeconds } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * takeStageSeconds(backend);
 * assertEquals(Object.keys(takeStageSeconds(backend)), ["rest"]);
 * backend.close();
 * ```
 */
export function takeStageSeconds(backend: Backend): Record<string, number> {
  return sumOfPasses(takePassSeconds(backend));
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
