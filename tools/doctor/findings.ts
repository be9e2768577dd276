// Everything a doctor finds, as one object: what --json prints and what advice is given on.
import { cpus } from "node:os";
import { findBlas, surveyBlas } from "../../cpu/blas/find.ts";
import type { Blas, NoBlas, Survey } from "../../cpu/blas/measurement.ts";
import { hasRelaxedSimd } from "../../cpu/module.ts";
import { type AdapterReport, listAdapters, type Quirks, tryQuirks } from "./adapters.ts";
import { type Reading, readSpeed } from "./speed.ts";

/** What this machine offers. */
export interface Findings {
  readonly system: { readonly os: string; readonly arch: string; readonly deno: string };
  readonly cpu: {
    readonly name: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly relaxedSimd: boolean;
    readonly sharedMemory: boolean;
  };
  /** What `--blas auto` takes. */
  readonly blas: Blas | NoBlas;
  /** Every library there is, or why they could not be looked at. */
  readonly libraries: Survey | { readonly why: string };
  /** Best first. */
  readonly adapters: readonly AdapterReport[];
  /** Of the best adapter; null without one. */
  readonly quirks: Quirks | { readonly problem: string } | null;
  readonly speed: readonly Reading[];
}

/** Looks, tries and times; `seconds` is how long timing takes, 0 for none. */
export async function examine(seconds: number): Promise<Findings> {
  const adapters = await listAdapters();
  const quirks = adapters.length === 0 ? null : await tryQuirks().catch(problem);
  const webgpu = quirks !== null && !("problem" in quirks);
  // What was measured before is measured anew, unless nothing is to be timed.
  const libraries = await surveyBlas({ library: "auto", fresh: seconds > 0 });
  const blas = await findBlas();
  return {
    system: { os: Deno.build.os, arch: Deno.build.arch, deno: Deno.version.deno },
    cpu: {
      name: cpus()[0]?.model.trim() || "unknown processor",
      cores: navigator.hardwareConcurrency,
      memoryBytes: Deno.systemMemoryInfo().total,
      relaxedSimd: hasRelaxedSimd(),
      sharedMemory: typeof SharedArrayBuffer !== "undefined",
    },
    blas,
    libraries,
    adapters,
    quirks,
    speed: seconds > 0 ? await readSpeed(seconds, { webgpu, blas: "why" in blas ? null : blas }) : [],
  };
}

function problem(error: Error): { problem: string } {
  return { problem: error.message };
}
