// Where plugins are held to their contracts: the CPU with one thread and with two, and WebGPU.
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import { openGpu } from "./gpu.ts";

/** A backend with what checks want of it. */
export interface Place {
  readonly backend: Backend;
  usedBytes(): number;
  /** Backends that must give its bits once more: itself, and its kind with other threads. */
  readonly alike: readonly Backend[];
  /** Share of the repetitions that checks of many batches make: a wait for a GPU takes far longer than a batch. */
  readonly patience: number;
}

const one = await cpu({ threads: 1 });
const two = await cpu({ threads: 2 });
/** Where contracts are kept unless said otherwise. */
export const onCpu: Place = {
  backend: one,
  alike: [one, two],
  patience: 1,
  usedBytes: () => one.statistics().usedBytes,
};

const gpu = openGpu();
/** The place of every contract's second half. */
export async function onGpu(): Promise<Place> {
  const backend = await gpu();
  return { backend, alike: [backend], patience: 0.125, usedBytes: () => backend.statistics().usedBytes };
}
