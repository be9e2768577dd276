// Where a run was timed: a run that went on elsewhere says so beside where it began.
import type { Machine, TimingRecord } from "./record.ts";

/** Where a run went on is kept beside where it began, when that is another place. */
export function placesOf(
  { threads, machine, blas, resumed = [] }: TimingRecord,
  now: Machine,
  step: number,
): Omit<TimingRecord, "run" | "steps"> {
  const last = resumed.at(-1) ?? { threads, machine };
  if (last.threads === now.threads && last.machine === now.machine) resumed = [...resumed];
  else resumed = [...resumed, { step, ...now }];
  return resumed.length === 0 ? { threads, machine, blas } : { threads, machine, blas, resumed };
}
