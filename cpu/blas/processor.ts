// What processor this is and what it can do, where the system says so.
import { cpus } from "node:os";
import type { Processor } from "./measurement.ts";

/** Reads it; of Linux, which flags. */
export function readProcessor(): Processor {
  const name = cpus()[0]?.model.trim() || "unknown processor";
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return { name, flags: null };
  const line = Deno.readTextFileSync("/proc/cpuinfo").match(/^flags\s*:(.*)$/m);
  return { name, flags: line ? line[1].trim().split(/\s+/) : null };
}
