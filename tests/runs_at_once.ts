// Two runs started together on one backend or two: each must give the record it gives alone.
import { assertEquals, assertNotEquals } from "@std/assert";
import type { Backend } from "../kernels/kernel.ts";
import { recordOf } from "./small_run.ts";

/** Runs started together give what they give alone. */
export async function together(one: Backend, two: Backend, names: readonly string[]): Promise<void> {
  const runs = names.flatMap((name): [Backend, string, number][] => [[one, name, 0], [two, name, 1]]);
  const alone = [];
  for (const run of runs) alone.push(await recordOf(...run));
  assertNotEquals(alone[0][0], alone[1][0]);
  assertEquals(await Promise.all(runs.map((run) => recordOf(...run))), alone);
}
