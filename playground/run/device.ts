// The backend of a run in its worker, and how to say what it is.
import { cpu } from "../../cpu/backend.ts";
import type { ThreadStart } from "../../cpu/threads.ts";
import { webgpu } from "../../gpu/backend.ts";
import type { Backend } from "../../kernels/kernel.ts";
import type { FromRun, RunStart } from "./messages.ts";

/** A backend that was opened. */
export interface OpenedDevice {
  readonly backend: Backend;
  /** In words. */
  readonly about: string;
  /** What falls short of what was asked for, a sentence each. */
  readonly notes: readonly string[];
}

/** Opens what a run is to compute on; the page starts the threads. */
export async function openDevice(
  { device, threads: wanted }: Pick<RunStart, "device" | "threads">,
  post: (message: FromRun) => void,
): Promise<OpenedDevice> {
  if (device === "webgpu") {
    const backend = await webgpu();
    const kind = backend.software ? ", which computes on the CPU" : "";
    return { backend, about: `WebGPU on ${backend.arithmetic.device}${kind}`, notes: [] };
  }
  const startThread = (thread: ThreadStart) => post({ kind: "thread", thread });
  const backend = await cpu({ threads: wanted, startThread });
  const { threads, notes } = backend;
  return { backend, about: `CPU, ${threads} thread${threads === 1 ? "" : "s"}`, notes };
}
